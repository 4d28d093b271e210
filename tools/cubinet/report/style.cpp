#include "cubinet/report/style.hpp"

namespace jit::inline v1 {

// Shades: 0 is the strongest. Each has a background and the ink that is legible on it, so that a
// scale reads the same in grey. In the dark the strongest is the brightest.
const std::string_view kStyleSheet = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d8dde3;
  --accent: #0b5cad; --bad: #a4161a; --warn: #fff4d6; --warn-ink: #5c4300;
  --noise: #dce8f5; --room: #e6e9ed; --none: #eceef1;
  --t0: #0a4a86; --t1: #14619f; --t2: #3f85c0; --t3: #7fb2dd; --t4: #aacdea; --t5: #cfe2f3; --t6: #ebf3fa;
  --r0: #4a2a85; --r1: #63429f; --r2: #8769bb; --r3: #ac96d4; --r4: #c9bae5; --r5: #e0d7f1; --r6: #f2eef9;
  --o0: #0d5446; --o1: #1a6b5a; --o2: #478e7d; --o3: #7fb7a8; --o4: #a9d0c5; --o5: #cfe5de; --o6: #ebf5f2;
  --on-strong: #ffffff; --on-pale: #16202b; --on-middle: #000000;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1317; --card: #171c22; --ink: #e6e9ed; --soft: #9ca6b1; --line: #303841;
    --accent: #7cb8f2; --bad: #ff9a94; --warn: #3a2f10; --warn-ink: #f3dfa4;
    --noise: #1f3349; --room: #2a323b; --none: #20262d;
    --t0: #a5d5ff; --t1: #7fbdf3; --t2: #5b9fdb; --t3: #366fa3; --t4: #28547d; --t5: #203f5c; --t6: #1b2c3d;
    --r0: #d9c8ff; --r1: #bfa6f2; --r2: #a184dd; --r3: #6f55a5; --r4: #564082; --r5: #423264; --r6: #2d2542;
    --o0: #a8ecd9; --o1: #82d2bc; --o2: #5cb39c; --o3: #377a69; --o4: #2a6053; --o5: #21493f; --o6: #1a322c;
    --on-strong: #0a1118; --on-pale: #eef2f6; --on-middle: #0a1118;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
main { max-width: 1200px; margin: 0 auto; padding: 28px 20px 56px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 40px 0 10px; }
h3 { font-size: 17px; margin: 0; }
h4 { font-size: 14px; margin: 0; }
p { margin: 4px 0 0; }
header p, figcaption p, .note { color: var(--soft); }
header { margin-bottom: 20px; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
em {
  font-style: normal; font-weight: 600; font-size: 11px; white-space: nowrap;
  text-transform: none;
}
summary { cursor: pointer; }
summary > * { display: inline; }

.record, .card {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 18px; margin: 16px 0;
}
.record > summary .choice { display: block; color: var(--soft); margin-left: 1.1em; }
.constants { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 14px; padding: 0; margin: 12px 0 0; color: var(--soft); font-size: 13px; }
.constants b { color: var(--ink); font-weight: 600; }
.warning { background: var(--warn); color: var(--warn-ink); border-radius: 6px; padding: 6px 10px; margin-top: 12px; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 200px), 1fr)); gap: 14px 22px; margin: 18px 0 0; }
.facts dt { color: var(--soft); font-size: 12px; }
.facts dd { margin: 0; font-weight: 600; font-size: 14px; }
.facts dd.note { font-weight: 400; font-size: 13px; }

.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 26px; margin-top: 24px; }
figure { margin: 0; min-width: 0; }
.maps > .map { display: grid; grid-template-rows: subgrid; grid-row: span 3; row-gap: 0; align-content: start; }
.map.many { grid-column: 1 / -1; }
figcaption p { font-size: 13px; }
.facets { display: grid; gap: 16px 22px; margin-top: 10px; }
.many .facets { grid-template-columns: repeat(auto-fit, minmax(min(100%, 240px), 1fr)); }
.heat { width: 100%; border-collapse: separate; border-spacing: 3px; table-layout: fixed; }
.heat caption { text-align: left; font-size: 13px; font-weight: 600; padding-bottom: 2px; }
.heat th { font-size: 12px; font-weight: 600; color: var(--soft); padding: 2px; }
.heat th[scope=row] { text-align: right; padding-right: 6px; }
.heat th.axis { font-weight: 400; overflow-wrap: anywhere; }
.heat thead th.axis[scope=col] { text-align: right; padding-right: 6px; }
.heat tbody td { height: 50px; padding: 3px 2px; text-align: center; border-radius: 4px; line-height: 1.2; overflow: hidden; }
.heat td > * { display: block; }
.heat td small { font-size: 11px; }
.scroll { overflow-x: auto; }
.scroll > .heat { min-width: calc(52px * 8); }
.chosen > b { font-weight: 800; }
.heat td.chosen { outline: 3px solid var(--ink); outline-offset: -1px; }
.heat td.untuned:not(.chosen) { outline: 2px dashed var(--ink); outline-offset: -1px; }
.none { color: var(--soft); background: var(--none); }
.heat td.none b { font-weight: 400; font-size: 12px; }
.heat td.spills { border-bottom: 4px double currentcolor; }
.t0 { background: var(--t0); color: var(--on-strong); } .t1 { background: var(--t1); color: var(--on-strong); }
.t2 { background: var(--t2); color: var(--on-middle); } .t3 { background: var(--t3); color: var(--on-pale); }
.t4 { background: var(--t4); color: var(--on-pale); } .t5 { background: var(--t5); color: var(--on-pale); }
.t6 { background: var(--t6); color: var(--on-pale); }
.r0 { background: var(--r0); color: var(--on-strong); } .r1 { background: var(--r1); color: var(--on-strong); }
.r2 { background: var(--r2); color: var(--on-middle); } .r3 { background: var(--r3); color: var(--on-pale); }
.r4 { background: var(--r4); color: var(--on-pale); } .r5 { background: var(--r5); color: var(--on-pale); }
.r6 { background: var(--r6); color: var(--on-pale); }
.o0 { background: var(--o0); color: var(--on-strong); } .o1 { background: var(--o1); color: var(--on-strong); }
.o2 { background: var(--o2); color: var(--on-middle); } .o3 { background: var(--o3); color: var(--on-pale); }
.o4 { background: var(--o4); color: var(--on-pale); } .o5 { background: var(--o5); color: var(--on-pale); }
.o6 { background: var(--o6); color: var(--on-pale); }
.legend li:first-child { flex-basis: 100%; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 12px; padding: 0; margin: 8px 0 0; font-size: 12px; color: var(--soft); }
.swatch { display: inline-block; width: 14px; height: 12px; border-radius: 3px; margin-right: 4px; vertical-align: -1px; border: 1px solid var(--line); }

.spread { margin-top: 28px; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: 18px 30px; margin-top: 12px; }
.bars { list-style: none; margin: 6px 0 0; padding: 0; }
.bars li { display: grid; grid-template-columns: 1fr auto auto; column-gap: 8px; align-items: baseline; font-size: 12px; margin-top: 5px; }
.bars .name { color: var(--soft); }
.bars em + em { margin-left: 6px; }
.bars svg { grid-column: 1 / -1; display: block; background: var(--none); border-radius: 3px; overflow: visible; }
.bars .chosen .name, .bars .chosen .value { color: var(--ink); font-weight: 700; }
svg .noise { fill: var(--noise); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .untuned { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 2; }
svg .interval { fill: var(--accent); opacity: 0.55; }
svg .median { fill: var(--accent); stroke: var(--card); stroke-width: 1; }
.chosen svg .median { fill: var(--ink); }
.chosen svg .interval { fill: var(--ink); }
svg .beyond { fill: var(--ink); text-anchor: end; font-size: 16px; }
.ticks { position: relative; height: 18px; font-size: 11px; color: var(--soft); }
.ticks span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.ticks span:first-child { transform: none; }
.ticks span:last-child { transform: translateX(-100%); }

.more { margin-top: 24px; border-top: 1px solid var(--line); padding-top: 12px; }
.list { border-collapse: collapse; width: 100%; font-size: 13px; margin-top: 12px; }
.list th, .list td { overflow-wrap: break-word; }
.list th { text-align: left; font-weight: 400; vertical-align: top; padding: 6px 14px 6px 0; }
.list thead th { color: var(--soft); font-size: 12px; vertical-align: bottom; border-bottom: 1px solid var(--line); }
.list td { vertical-align: top; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); }
.list tbody th { border-bottom: 1px solid var(--line); }
.list tbody tr:last-child > * { border-bottom: 0; }
.list td > span { display: block; }
.list .number { text-align: right; white-space: nowrap; }
.list thead .number { white-space: normal; }
.list .reason { color: var(--soft); min-width: 14em; max-width: 34em; }
.list .bad, .list .bad span { color: var(--bad); font-weight: 600; }
.list em { margin-left: 6px; border: 1px solid currentcolor; border-radius: 4px; padding: 0 4px; }
.list tr.chosen .name { font-weight: 700; }
.list svg { display: block; min-width: 56px; margin-top: 3px; }
svg .room { fill: var(--room); }
svg .bar { fill: var(--accent); }
.distribution { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 220px), 1fr)); gap: 16px 26px; margin-top: 14px; }
.ends { display: flex; justify-content: space-between; font-size: 11px; color: var(--soft); }
code { font: 12px ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.distribution svg { display: block; background: var(--none); border-radius: 3px; margin-top: 6px; }

@media (max-width: 760px) {
  main { padding: 20px 12px 40px; }
  .record, .card { padding: 14px 12px; border-radius: 8px; }
  .list, .list tbody, .list tr, .list th, .list td { display: block; width: 100%; }
  .list thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .list tbody tr { border-bottom: 1px solid var(--line); padding: 8px 0; }
  .list tbody th, .list td { border: 0; padding: 2px 0; overflow-wrap: anywhere; }
  .facts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 140px), 1fr)); }
  .list tbody th { font-weight: 600; }
  .list td { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); column-gap: 10px; text-align: left; }
  .list td::before { content: attr(data-label); color: var(--soft); }
  .list td:has(> span:empty) { display: none; }
  .list .number { text-align: left; white-space: normal; }
  .list .reason { min-width: 0; }
}
@media print { .record { break-inside: avoid; } }
)css";

}  // namespace jit::inline v1
