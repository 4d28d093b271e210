#!/usr/bin/env python3
"""Checks the pages of `cubinet report` in headless Chromium by what they show: text, colours and
boxes, in light and dark, on a phone and on a desk.

usage: check_report.py CUBINET      fails without Chromium (tools/install_dependencies.sh --checks)
       check_report.py --self-test CUBINET   plants defects in a page; each must be found
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import browser
from measure import MEASURE
from records import HOSTILE, hostile_record, large_record, lines_of, merge_record

PHONE, DESK = 375, 1280
VIEWS = tuple((width, scheme) for width in (PHONE, DESK) for scheme in ("light", "dark"))
CONTRAST = 4.5  # of text; WCAG 2.2, 1.4.3
MARK_CONTRAST = 3  # of what is drawn; 1.4.11


class Problems(list):
    """What is wrong, one line each."""

    def expect(self, condition, text):
        if not condition:
            self.append(text)

    def expect_equal(self, seen, wanted, what):
        self.expect(seen == wanted, f"{what}: {seen!r} instead of {wanted!r}")


ROOT = Path(__file__).resolve().parents[2]


def hide_shipped_records(folder):
    """Puts the shipped templates without their tuning records before those of the command, so that
    a page shows the records that a check wrote, and no others. Returns: the template path."""
    templates = folder / "templates"
    if not templates.exists():
        shutil.copytree(ROOT / "kernel_templates", templates,
                        ignore=shutil.ignore_patterns("tuning"))
    return str(templates)


def run(command, folder, *arguments):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("CUBINET_") or name == "CUBINET_NVRTC"}
    environment |= {"HOME": str(folder), "CUBINET_CACHE_DIR": str(folder / "cache"),
                    "CUBINET_DRIVER": "/no/such/libcuda.so",
                    "CUBINET_TEMPLATE_PATH": hide_shipped_records(folder)}
    result = subprocess.run([command, *arguments], cwd=folder, env=environment, check=False,
                            capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"check report: exit code {result.returncode} from cubinet {' '.join(arguments)}\n"
                 f"{result.stdout}{result.stderr}")
    return result.stdout


def page_of(command, folder, name, records):
    """A page of a cache and of these records. Made twice, it has the same bytes."""
    (folder / f"{name}.jsonl").write_text(lines_of(records), encoding="utf-8")
    pages = []
    for copy in ("first", "second"):
        page = folder / f"{name}_{copy}.html"
        run(command, folder, "report", f"{name}.jsonl", "--html", str(page))
        pages.append(page)
    if pages[0].read_bytes() != pages[1].read_bytes():
        sys.exit(f"check report: {name}: the page differs from one making to the next")
    return pages[0]


def check_layout(seen, width, scheme, problems):
    problems.expect(seen["scroll_width"] <= width, f"the page is {seen['scroll_width']} wide")
    for text in seen["beyond"]:
        problems.append(f"beyond the page's edge: {text}")
    for text in seen["cut"]:
        problems.append(f"cut off: {text}")
    for text in seen["overlaps"]:
        problems.append(f"drawn over another: {text}")
    if width < 600:
        problems.expect_equal(seen["scrolled"], [], "what has to be scrolled sideways on a phone")
    page = seen["luminance"]
    problems.expect(page > 0.8 if scheme == "light" else page < 0.1, f"{scheme}: page is {page:.2f}")
    for item in seen["text"]:
        problems.expect(item["contrast"] >= CONTRAST,
                        f"contrast {item['contrast']:.2f} of {item['text']!r} ({item['where']})")
    for mark in seen["marks"]:
        problems.expect(mark["contrast"] >= MARK_CONTRAST,
                        f"contrast {mark['contrast']:.2f} of a {mark['where']}")


def check_scales(seen, problems):
    """Each scale goes one way in grey, too, and no two steps are alike."""
    problems.expect_equal(sorted(seen["scales"]), ["o", "r", "t"], "scales")
    for letter, shades in seen["scales"].items():
        steps = [later - earlier for earlier, later in zip(shades, shades[1:])]
        one_way = all(step > 0 for step in steps) or all(step < 0 for step in steps)
        problems.expect(len(shades) == 7 and one_way, f"scale {letter} in grey: {shades}")


def check_access(seen, problems):
    problems.expect_equal(seen["scripts"], 0, "scripts")
    problems.expect_equal(seen["foreign"], [], "elements that a page has no use for")
    problems.expect_equal(seen["unnamed"], [], "pictures without words")
    problems.expect_equal(seen["headless"], [], "tables without heads of rows and columns")
    problems.expect(all(later <= earlier + 1 for earlier, later in
                        zip(seen["headings"], seen["headings"][1:])),
                    f"levels of headings: {seen['headings']}")
    problems.expect(seen["headings"][:1] == [1] and seen["headings"].count(1) == 1, "one h1 first")
    problems.expect_equal(seen["dangling"], [], "links to nothing")
    problems.expect("default-src 'none'" in seen["policy"], f"policy {seen['policy']!r}")


def check_events(events, url, problems):
    for event in events:
        parameters = event.get("params", {})
        method = event.get("method")
        if method == "Network.requestWillBeSent":
            asked = parameters["request"]["url"]
            problems.expect(asked == url or asked == "data:,", f"the page asks for {asked}")
        if method in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown",
                      "Page.javascriptDialogOpening"):
            problems.append(f"the browser says {method}: {parameters}")


def median_of(record, variant):
    """The score of a variant, as the page is to have it."""
    times = variant.get("us", [])
    if variant["verdict"] != "measured" or len(times) != len(record["evidence"]["sizes"]):
        return None
    return math.exp(sum(math.log(time[0]) for time in times) / len(times))


def spelled(value):
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) \
        else str(value)


def cell_of(maps, record, variant):
    """The cell that shows a variant."""
    wanted = {f"{name}={spelled(value)}" for name, value in variant["set"].items()}
    found = [cell for cell in maps if set(cell["at"]) <= wanted]
    return found[0] if len(found) == 1 else None


def check_map(shown, record, problems):
    """The map of times: every cell has its variant's time, shade and mark."""
    evidence = record["evidence"]
    scores = [median_of(record, variant) for variant in evidence["variants"]]
    best = min(score for score in scores if score)
    for index, (variant, score) in enumerate(zip(evidence["variants"], scores)):
        cell = cell_of(shown["time"], record, variant)
        if cell is None:
            problems.append(f"{variant['set']} has no cell of its own")
            continue
        if score is None:
            word = {"not_reached": "not timed"}.get(variant["verdict"], variant["verdict"])
            problems.expect_equal(cell["value"], word, f"cell of {variant['set']}")
            problems.expect_equal(cell["shade"], None, f"shade of {variant['set']}")
        else:
            problems.expect(abs(float(cell["value"]) - score) <= 0.006 * score,
                            f"cell of {variant['set']} shows {cell['value']}, not {score:.4g}")
            bounds = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
            shade = sum(score / best - 1 > bound + 1e-9 for bound in bounds)
            problems.expect_equal(cell["shade"], f"t{shade}", f"shade of {variant['set']}")
        chosen, untuned = index == evidence["winner"], index == evidence.get("untuned")
        problems.expect_equal("chosen" in cell["words"], chosen, f"{variant['set']} says chosen")
        problems.expect_equal("untuned" in cell["words"], untuned, f"{variant['set']} says untuned")
        outline = "solid" if chosen else "dashed" if untuned else "none"
        problems.expect_equal(cell["outline"], outline, f"outline of {variant['set']}")
        check_facts(shown, record, variant, problems)


def check_facts(shown, record, variant, problems):
    """The same cell in the maps of registers and occupancy."""
    if variant["verdict"] == "refused":
        return
    registers = cell_of(shown["registers"], record, variant)
    problems.expect_equal(registers["value"], str(variant["registers"]), "registers")
    spill = variant.get("spill_bytes", 0)
    problems.expect_equal(f"spills {spill}" in registers["words"], spill > 0, "a spill's word")
    occupancy = cell_of(shown["occupancy"], record, variant)
    problems.expect_equal(occupancy["value"], f"{100 * variant['occupancy']:.0f} %", "occupancy")


def check_bars(shown, record, problems):
    """Dots lie where their medians are, bars are as long as their intervals: on one scale."""
    evidence = record["evidence"]
    problems.expect_equal(len(shown["panels"]), len(evidence["sizes"]), "panels")
    for size, panel in enumerate(shown["panels"]):
        points = []
        for bar in panel:
            wanted = dict(part.split("=") for part in bar["name"].split(" "))
            fits = [variant for variant in evidence["variants"]
                    if {k: spelled(v) for k, v in variant["set"].items()}.items()
                    >= wanted.items() and "us" in variant]
            if len(fits) != 1:
                problems.append(f"{bar['name']} is {len(fits)} variants")
                continue
            median, low, high, _ = fits[0]["us"][size]
            problems.expect(abs(float(bar["value"].removesuffix(" us")) - median) < 1e-3 * median,
                            f"{bar['name']} shows {bar['value']}, not {median}")
            points += [(median, bar["dot"]), (low, bar["begin"]), (high, bar["end"])]
        (least, left), (most, right) = min(points), max(points)
        for value, x in points:
            wanted = left + (value - least) / (most - least) * (right - left)
            problems.expect(abs(x - wanted) < 1.5, f"{value} us is drawn at {x:.1f}, not {wanted:.1f}")


def check_records(seen, records, problems):
    problems.expect_equal(len(seen["records"]), len(records), "records")
    for shown, record in zip(seen["records"], records):
        check_map(shown, record, problems)
        check_bars(shown, record, problems)
        problems.expect_equal(len(shown["rows"]), len(record["evidence"]["variants"]),
                              "rows of the table of variants")
        for variant in record["evidence"]["variants"]:
            reason = variant.get("reason", "")
            problems.expect(any(reason in row for row in shown["rows"]), f"no row says {reason!r}")
        for wanted in (record["device"]["name"], record["evidence"]["driver"], record["at"]):
            problems.expect(wanted in shown["text"], f"{wanted!r} is not shown")


def check_kernels(seen, entries, problems):
    """Every kernel of the cache has its row, and bars as long as its figures."""
    problems.expect_equal(sorted(row["key"] for row in seen["kernels"]),
                          sorted(entry["key"][:12] for entry in entries), "kernels")
    by_key = {entry["key"][:12]: entry for entry in entries}
    for row in seen["kernels"]:
        entry = by_key.get(row["key"])
        if entry is None:
            continue
        problems.expect_equal(row["registers"], str(entry["registers"]), "registers of a kernel")
        problems.expect(abs(row["bar"] - entry["registers"] / 255) < 0.02,
                        f"a bar of {row['bar']:.2f} for {entry['registers']} registers")


def check_keyboard(page, problems):
    """Everything that does something is reached by the keyboard, is seen to be, and works."""
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    wanted = page.evaluate("document.querySelectorAll('summary, a, [tabindex]').length")
    reached = 0
    while reached <= wanted:
        page.press("Tab")
        state = page.evaluate(
            "(e => e === document.body ? null : getComputedStyle(e).outlineStyle)"
            "(document.activeElement)")
        if state is None:
            break
        reached += 1
        problems.expect(state != "none", "the focus is not seen")
    problems.expect_equal(reached, wanted, "what Tab reaches")
    page.evaluate("document.querySelector('summary').focus()")
    before = page.evaluate("document.querySelector('details').open")
    page.press("Enter")
    after = page.evaluate("document.querySelector('details').open")
    problems.expect(before != after, "Enter does not open and close")


def examine(page, path, records, entries, views=VIEWS):
    """The problems of one page, at all widths and in all schemes."""
    problems = Problems()
    url = path.as_uri()
    for width, scheme in views:
        found = Problems()
        page.open(url, width, scheme)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        seen = page.evaluate(MEASURE)
        check_layout(seen, width, scheme, found)
        check_scales(seen, found)
        check_access(seen, found)
        if records:
            check_records(seen, records, found)
        check_kernels(seen, entries, found)
        check_events(page.events, url, found)
        problems += [f"{path.name}, {width} px, {scheme}: {text}" for text in found]
    check_keyboard(page, problems)
    return problems


def make_pages(command, folder):
    run(command, folder, "precompile", "merge_attn_states", "--preset", "bf16_d128", "--preset",
        "f32_d128_fp8", "--arch", "sm_90a", "-j", "1")
    records = [merge_record("decode"), merge_record("prefill")]
    small = page_of(command, folder, "small", records)
    large = page_of(command, folder, "large", [large_record()])
    return {"small": (small, records), "large": (large, [large_record()])}


def entries_of(command, folder):
    return json.loads(run(command, folder, "cache", "ls", "--json"))["entries"]


def check(command, path):
    with tempfile.TemporaryDirectory() as name, browser.Browser(path) as page:
        folder = Path(name)
        problems = Problems()
        pages = make_pages(command, folder)
        entries = entries_of(command, folder)
        for made, records in pages.values():
            problems += examine(page, made, records, entries)
        hostile = page_of(command, folder, "hostile", [hostile_record()])
        problems += examine(page, hostile, None, entries)
        page.open(hostile.as_uri(), PHONE, "light")
        problems.expect(HOSTILE in page.evaluate("document.body.innerText"),
                        "what looks like markup is not shown as it is")
    for problem in problems:
        print(f"check report: {problem}", file=sys.stderr)
    if problems:
        sys.exit(f"check report: {len(problems)} problems")
    print(f"check report: {len(pages) + 1} pages are fine in {VIEWS}")


# What is planted in a page, and what must be said of it.
DEFECTS = (
    (lambda page: page.replace("<main>", '<main><p style="width:900px">wide</p>'), "wide"),
    (lambda page: page.replace("--soft: #57606a", "--soft: #b0b8c0"), "contrast"),
    (lambda page: page.replace("--soft: #9ca6b1", "--soft: #4a525b"), "contrast"),
    (lambda page: page.replace("--t3: #7fb2dd", "--t3: #ebf3fa"), "scale t in grey"),
    (lambda page: page.replace("outline: 3px solid", "outline: 0 solid"), "outline"),
    (lambda page: page.replace("<em>chosen</em></td>", "</td>"), "says chosen"),
    (lambda page: page.replace('<main>', '<main><img alt="" src="http://127.0.0.1:9/x.png">'),
     "no use for"),
    (lambda page: page.replace("<main>", "<main><script>1</script>"), "scripts"),
    (lambda page: page.replace('<td class="t0', '<td class="t4'), "shade"),
    (lambda page: page.replace('class="median" cx="', 'class="median" cx="1'), "drawn at"),
    (lambda page: page.replace(".ticks span {", ".ticks span { width: 200px;"), "drawn over"),
    (lambda page: page.replace("<title>median", "<desc>median"), "without words"),
    (lambda page: page.replace(' scope="row"', ""), "tables without heads"),
    (lambda page: page.replace("<h2>", "<h4>").replace("</h2>", "</h4>"), "levels of headings"),
    (lambda page: page.replace(' tabindex="0"', ' tabindex="-1"'), "what Tab reaches"),
    (lambda page: page.replace("outline: 3px solid var(--accent)", "outline: 0 none"),
     "the focus is not seen"),
    (lambda page: page.replace("height: 50px", "height: 20px").replace(
        "overflow: hidden; }", "overflow: hidden; max-height: 20px; display: block; }", 1), "cut off"),
)


def self_test(command, path):
    with tempfile.TemporaryDirectory() as name, browser.Browser(path) as page:
        folder = Path(name)
        made, records = make_pages(command, folder)["small"]
        entries = entries_of(command, folder)
        text = made.read_text(encoding="utf-8")
        for plant, wanted in DEFECTS:
            defect = folder / "defect.html"
            assert plant(text) != text, f"nothing was planted for {wanted!r}"
            defect.write_text(plant(text), encoding="utf-8")
            problems = examine(page, defect, records, entries,
                               ((PHONE, "light"), (DESK, "dark")))
            assert any(wanted in problem for problem in problems), \
                f"{wanted!r} is not among {len(problems)} problems: {problems[:5]}"
    print(f"self-test: {len(DEFECTS)} defects found")


def main():
    words = sys.argv[1:]
    if not words or words[0] in ("--help", "-h") or len(words) > 2:
        sys.exit(__doc__)
    path = browser.find()
    if path is None:
        sys.exit(f"check report: none of {', '.join(browser.NAMES)} is on PATH; run "
                 "tools/install_dependencies.sh --checks")
    command = str(Path(words[-1]).resolve())
    if words[0] == "--self-test":
        self_test(command, path)
    else:
        check(command, path)


if __name__ == "__main__":
    main()
