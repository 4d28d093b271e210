"""What is seen of a page of `cubinet report`, measured in the browser."""

MEASURE = r"""(() => {
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const box = e => e.getBoundingClientRect();
const shown = e => { const b = box(e); return b.width > 0 && b.height > 0; };
const label = e => `${e.tagName.toLowerCase()}.${e.getAttribute('class') || ''} ` +
    `${(e.textContent || '').trim().slice(0, 40)}`;
const round = number => Math.round(number * 100) / 100;

// Colours, as WCAG 2.2 compares them.
const parts = colour => {
  const found = colour.match(/[\d.]+/g).map(Number);
  return {rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1};
};
const over = (front, back) => front.rgb.map((c, i) => c * front.alpha + back[i] * (1 - front.alpha));
const luminance = rgb => {
  const linear = rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const background = e => {
  const layers = [];
  for (; e; e = e.parentElement) layers.push(parts(getComputedStyle(e).backgroundColor));
  return layers.reverse().reduce((back, layer) => over(layer, back), [255, 255, 255]);
};

const hidden = e => e.closest('thead') && getComputedStyle(e.closest('thead')).position === 'absolute';
const in_scroll = e => { const s = e.closest('.scroll'); return s && s.scrollWidth > s.clientWidth; };
const elements = all('body *').filter(e => shown(e) && !hidden(e));

const texts = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const e = node.parentElement;
  if (!node.data.trim() || !shown(e) || hidden(e) || e.closest('svg')) continue;
  const ground = background(e);
  const ink = over(parts(getComputedStyle(e).color), ground);
  texts.push({text: node.data.trim().slice(0, 30), where: label(e).slice(0, 30),
              contrast: contrast(ink, ground)});
}
const marks = all('svg .median, svg .bar').filter(shown).map(e => {
  const ground = background(e.closest('svg'));
  return {where: e.getAttribute('class'),
          contrast: contrast(parts(getComputedStyle(e).fill).rgb, ground)};
});

const overlaps = [];
const disjoint = items => items.forEach((a, i) => items.slice(i + 1).forEach(b => {
  const [x, y] = [box(a), box(b)];
  const across = Math.min(x.right, y.right) - Math.max(x.left, y.left);
  const down = Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top);
  if (across > 0.5 && down > 0.5) overlaps.push(`${label(a)} and ${label(b)}`);
}));
all('.ticks').forEach(ticks => disjoint(all('span', ticks)));
all('.bars li').forEach(item => disjoint([...item.children].filter(shown)));
all('.facts').forEach(facts => disjoint([...facts.children]));
all('.heat tr').forEach(row => disjoint([...row.children].filter(shown)));
all('.maps, .panels, .facets, .distribution').forEach(grid => disjoint([...grid.children]));

const scales = {};
all('.swatch').forEach(e => {
  const name = [...e.classList].find(c => /^[tro]\d$/.test(c));
  (scales[name[0]] ||= [])[Number(name[1])] = round(1e4 * luminance(background(e)));
});

const cells = figure => all('.facets > div', figure).flatMap(facet => {
  const rest = (facet.querySelector('caption') || {textContent: ''}).textContent;
  const heads = all('thead tr:last-child th', facet).map(e => e.textContent);
  const axis = (facet.querySelector('th[scope=colgroup]') || {textContent: ''}).textContent;
  return all('tbody tr', facet).flatMap(row => all('td', row).map((e, i) => ({
    at: [`${heads[0]}=${row.querySelector('th').textContent}`,
         ...(axis ? [`${axis}=${heads[i + 1]}`] : []), ...rest.split(' ').filter(Boolean)],
    value: (e.querySelector('b') || {textContent: ''}).textContent,
    shade: [...e.classList].find(c => /^[tro]\d$/.test(c)) || null,
    words: all('em, small', e).filter(shown).map(w => w.textContent).join(' '),
    outline: parseFloat(getComputedStyle(e).outlineWidth) > 1 ?
        getComputedStyle(e).outlineStyle : 'none',
  })));
});
const panels = record => all('.panel', record).map(panel => all('.bars li', panel).map(e => {
  const middle = b => b.left + b.width / 2;
  const interval = box(e.querySelector('.interval'));
  return {name: e.querySelector('.name').textContent, value: e.querySelector('.value').textContent,
          dot: middle(box(e.querySelector('.median'))), begin: interval.left, end: interval.right};
}));
const titled = (record, title) => {
  const map = all('.map', record).find(e => e.querySelector('h4').textContent === title);
  return map ? cells(map) : [];
};
const records = all('.record').map(record => ({
  time: titled(record, 'Time'), registers: titled(record, 'Registers and spills'),
  occupancy: titled(record, 'Occupancy'), panels: panels(record),
  rows: all('.more .list tbody tr', record).map(e => e.textContent), text: record.innerText,
}));

return {
  scroll_width: document.documentElement.scrollWidth,
  beyond: elements.filter(e => !in_scroll(e) && !e.closest('svg') &&
      (box(e).right > innerWidth + 0.5 || box(e).left < -0.5)).map(label).slice(0, 5),
  cut: all('.heat td').filter(e => e.scrollWidth > e.clientWidth + 1 ||
      e.scrollHeight > e.clientHeight + 1).map(label).slice(0, 5),
  overlaps: overlaps.slice(0, 5),
  scrolled: all('.scroll').filter(e => e.scrollWidth > e.clientWidth).map(label),
  luminance: luminance(background(document.body)),
  text: texts, marks, scales, records,
  scripts: document.scripts.length,
  foreign: all('img, iframe, object, embed, link[rel=stylesheet], form, audio, video').map(label),
  unnamed: all('svg').filter(e => e.getAttribute('aria-hidden') !== 'true' &&
      !(e.getAttribute('role') === 'img' && e.querySelector(':scope > title')?.textContent))
      .map(label).slice(0, 5),
  headless: all('table').filter(e => !e.querySelector('th[scope=col]') ||
      all('tbody tr', e).some(row => !row.querySelector('th[scope=row]'))).map(label).slice(0, 5),
  headings: all('h1, h2, h3, h4, h5, h6').map(e => Number(e.tagName[1])),
  dangling: all('a').map(e => e.getAttribute('href'))
      .filter(href => !href.startsWith('#') || !document.getElementById(href.slice(1))),
  policy: document.querySelector('meta[http-equiv=Content-Security-Policy]')?.content || '',
  kernels: all('.card .list tbody tr').map(row => ({
    key: row.querySelector('code').textContent,
    registers: row.querySelector('[data-label=Registers]').textContent,
    bar: box(row.querySelector('[data-label=Registers] .bar')).width /
         box(row.querySelector('[data-label=Registers] .room')).width,
  })),
};
})()"""
