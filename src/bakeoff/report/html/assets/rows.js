// Charts with a row a Candidate and a panel a figure: dots with intervals, bars, ranges of percentiles, stacks.
const PARTS = [['pre', 'var(--soft)'], ['run', 'var(--accent)'], ['post', 'var(--pale)']];

const drawRows = (spec, width) => {
  const wide = width >= WIDE;
  const label = wide ? labelled(spec.rows, width).width : 0;
  const least = 150;  // of a panel, in pixels
  const fits = wide ? Math.max(1, Math.floor((width - label) / least)) : 1;
  const across = Math.min(spec.panels.length, fits);
  const each = wide ? (width - label) / across : width;
  const box = element('div', { className: 'panels' });
  spec.panels.forEach((panel, i) => {
    const first = wide && i % across === 0;
    const title = element('p', {}, panel.title, element('span', { textContent: panel.unit ? ` ${panel.unit}` : '' }));
    const cell = element('div', {}, title, drawPanel(spec, panel, first ? each + label : each, first ? label : 0, wide));
    if (first) title.style.marginLeft = `${label}px`;
    box.append(cell);
  });
  if (spec.style !== 'stack') return box;
  return element('div', {}, legend(PARTS), box);
};

const ends = (panel) => {
  const values = panel.marks.flatMap((mark) => [mark.value, mark.low, mark.high, mark.p95, mark.p99]);
  const all = [...values, panel.limit, panel.line].filter((value) => value !== undefined && value !== null);
  let [low, high] = [Math.min(...all), Math.max(...all)];
  if (panel.zero) return [0, high * 1.02 || 1];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  if (panel.worse === 'below' && low >= panel.limit) low = panel.limit;
  return [low - room, high + room];
};

const drawPanel = (spec, panel, width, label, wide) => {
  const rows = spec.rows;
  const byKey = new Map(rows.map((row) => [row.key, row]));
  const height = wide ? 25 : 40;
  const down = wide ? 0 : 8;  // a label above: marks lie lower
  const [low, high] = ends(panel);
  const longest = Math.max(...panel.marks.map((mark) => figure(mark.value, panel.digits, panel.signed).length));
  const fill = (mark) => colour(byKey.get(mark.key).standing);
  const said = (mark) => {
    const lines = [named(byKey.get(mark.key)), `${panel.title}: ${figure(mark.value, panel.digits, panel.signed)} ${panel.unit}`.trim()];
    if (mark.low !== undefined) lines.push(`95% interval ${figure(mark.low, panel.digits, panel.signed)} to ${figure(mark.high, panel.digits, panel.signed)}`);
    ['p95', 'p99'].forEach((name) => mark[name] !== undefined && lines.push(`${name}: ${brief(mark[name])} ${panel.unit}`));
    Object.entries(mark.parts || {}).forEach(([name, value]) => lines.push(`${name}: ${brief(value)} ${panel.unit}`));
    return lines.join('\n');
  };
  const known = panel.marks.filter((mark) => mark.low !== undefined);
  const marks = [];
  if (panel.limit !== undefined) {
    const [from, to] = panel.worse === 'below' ? [low, panel.limit] : [panel.limit, Math.max(high, panel.limit)];
    marks.push(Plot.rect([0], { x1: from, x2: to, fill: 'var(--bad)', fillOpacity: 0.11, className: 'm-limit' }));
    marks.push(Plot.ruleX([panel.limit], { stroke: 'var(--bad)', strokeOpacity: 0.7 }));
    if (spec.style !== 'dot' || panel.line === 0) marks.push(Plot.text([panel.limit_label], { x: panel.limit, frameAnchor: 'top', dy: -9, fill: 'var(--bad)', fontSize: 10.5, textAnchor: panel.worse === 'below' ? 'start' : 'end' }));
  }
  if (panel.line !== undefined && panel.line !== null) marks.push(Plot.ruleX([panel.line], { stroke: 'var(--ink)', strokeDasharray: '3 3', strokeOpacity: 0.7 }));
  const at = { y: 'key' };
  if (spec.style === 'bar') {
    marks.push(Plot.barX(panel.marks, { ...at, x: 'value', fill, fillOpacity: 0.82, insetTop: wide ? 5 : 18, insetBottom: 5, rx: 2, title: said, tip: true, className: 'm-bars' }));
    marks.push(Plot.ruleY(known, { ...at, x1: 'low', x2: 'high', dy: down, stroke: 'var(--ink)', strokeWidth: 1.4, className: 'm-intervals' }));
  } else if (spec.style === 'stack') {
    const cut = panel.marks.flatMap((mark) => PARTS.filter(([name]) => mark.parts[name] !== undefined).map(([name, paint]) => ({ ...mark, name, paint, part: mark.parts[name] })));
    marks.push(Plot.barX(cut, Plot.stackX({ order: PARTS.map(([name]) => name), z: 'name' }, { ...at, x: 'part', z: 'name', fill: 'paint', fillOpacity: 0.85, insetTop: wide ? 5 : 18, insetBottom: 5, title: said, tip: true, className: 'm-bars' })));
  } else {
    if (spec.style === 'range') {
      const last = (mark) => mark.p99 ?? mark.p95;
      const tails = panel.marks.filter((mark) => last(mark) !== undefined);
      marks.push(Plot.ruleY(tails, { ...at, x1: 'value', x2: last, dy: down, stroke: fill, strokeOpacity: 0.6, strokeWidth: 1.5, className: 'm-tails' }));
      marks.push(Plot.tickX(tails.filter((mark) => mark.p95 !== undefined), { ...at, x: 'p95', dy: down, insetTop: wide ? 8 : 15, insetBottom: wide ? 8 : 15, stroke: fill, strokeWidth: 2, className: 'm-p95' }));
      marks.push(Plot.tickX(tails.filter((mark) => mark.p99 !== undefined), { ...at, x: 'p99', dy: down, insetTop: wide ? 4 : 12, insetBottom: wide ? 4 : 12, stroke: fill, strokeWidth: 2, className: 'm-p99' }));
    } else {
      marks.push(Plot.ruleY(known, { ...at, x1: 'low', x2: 'high', dy: down, stroke: fill, strokeWidth: 2.2, strokeOpacity: 0.75, className: 'm-intervals' }));
    }
    marks.push(Plot.dot(panel.marks, { ...at, x: 'value', dy: down, r: 4.2, fill, stroke: 'var(--card)', strokeWidth: 1, title: said, tip: true, className: 'm-dots' }));
  }
  marks.push(Plot.text(panel.marks, { ...at, frameAnchor: 'right', text: (mark) => figure(mark.value, panel.digits, panel.signed), dx: longest * 7 + 8, dy: down, textAnchor: 'end', fill: (mark) => (byKey.get(mark.key).standing === 'recommended' ? 'var(--accent)' : 'var(--ink)'), className: 'm-figures' }));
  const bold = (row) => row.standing === 'recommended';
  if (label) {
    const names = { y: 'key', frameAnchor: 'left', textAnchor: 'end', dx: -10, text: (row) => clipped(named(row), label - 12), fontFamily: 'var(--mono)', fontSize: 11.5 };
    marks.push(Plot.text(rows.filter((row) => !bold(row)), names), Plot.text(rows.filter(bold), { ...names, fill: 'var(--accent)', fontWeight: 700 }));
  } else if (!wide) {
    const names = { y: 'key', frameAnchor: 'left', textAnchor: 'start', dy: -9, text: (row) => clipped(named(row), width), fontFamily: 'var(--mono)', fontSize: 11.5 };
    marks.push(Plot.text(rows.filter((row) => !bold(row)), names), Plot.text(rows.filter(bold), { ...names, fill: 'var(--accent)', fontWeight: 700 }));
  }
  return Plot.plot({
    width,
    height: rows.length * height + 42,
    marginLeft: label || 4,
    marginRight: longest * 7 + 16,
    marginTop: 16,
    marginBottom: 26,
    style: STYLE,
    x: { domain: [low, high], label: null, ticks: 3, tickSize: 0, grid: true, nice: false },
    y: { type: 'band', domain: rows.map((row) => row.key), axis: null, padding: 0 },
    marks,
  });
};
