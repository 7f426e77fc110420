// Accuracy against latency, with the limits that were asked for and the points that no other beats.
const drawTradeoff = (spec, width) => {
  const wide = width >= WIDE;
  const points = [...spec.points].sort((a, b) => a.x - b.x).map((point, i) => ({ ...point, number: i + 1 }));
  const xs = points.flatMap((point) => [point.x, point.x_high]).filter((value) => value !== undefined);
  const ys = points.flatMap((point) => [point.y, point.y_low, point.y_high]).filter((value) => value !== undefined);
  if (spec.least !== null) ys.push(spec.least);
  const room = (Math.max(...ys) - Math.min(...ys)) * 0.09 || 0.01;
  const y = [Math.min(...ys) - room, Math.max(...ys) + room];
  const x = [0, Math.max(...xs, spec.budget || 0) * 1.05];
  const fill = (point) => colour(point.standing);
  const said = (point) => [named(point), `p${spec.percentile} ${brief(point.x)} ms`, `mAP50-95 ${point.y.toFixed(4)}`, point.standing].join('\n');
  const marks = [];
  if (spec.least !== null) {
    marks.push(Plot.rect([0], { y1: y[0], y2: spec.least, fill: 'var(--bad)', fillOpacity: 0.1, className: 'm-limit' }));
    marks.push(Plot.text([`loses more than the margin, ${spec.margin}`], { frameAnchor: 'right', y: spec.least, dy: 9, dx: -6, fill: 'var(--bad)', fontSize: 11, textAnchor: 'end' }));
    marks.push(Plot.ruleY([spec.base], { stroke: 'var(--ink)', strokeDasharray: '3 3', strokeOpacity: 0.6 }));
  }
  if (spec.budget !== null) {
    marks.push(Plot.rect([0], { x1: spec.budget, x2: x[1], fill: 'var(--bad)', fillOpacity: 0.1, className: 'm-limit' }));
    marks.push(Plot.text([`over the budget, ${spec.budget} ms at p${spec.budget_percentile}`], { x: spec.budget, frameAnchor: 'top', dx: 6, dy: 4, textAnchor: 'start', fill: 'var(--bad)', fontSize: 11 }));
  }
  marks.push(
    Plot.line(points.filter((point) => point.front), { x: 'x', y: 'y', stroke: 'var(--accent)', strokeOpacity: 0.55, strokeWidth: 1.5, curve: 'step-after', className: 'm-front' }),
    Plot.ruleX(points.filter((point) => point.y_low !== undefined), { x: 'x', y1: 'y_low', y2: 'y_high', stroke: fill, strokeOpacity: 0.45, strokeWidth: 1.6, className: 'm-intervals' }),
    Plot.ruleY(points.filter((point) => point.x_low !== undefined), { y: 'y', x1: 'x_low', x2: 'x_high', stroke: fill, strokeOpacity: 0.45, strokeWidth: 1.6, className: 'm-intervals' }),
    Plot.dot(points, { x: 'x', y: 'y', r: (point) => (point.standing === 'recommended' ? 8 : 6), fill, stroke: 'var(--card)', strokeWidth: 1.2, title: said, tip: true, className: 'm-dots' }),
  );
  const chart = Plot.plot({
    width,
    height: wide ? 440 : 340,
    marginLeft: 52,
    marginRight: 12,
    marginBottom: 40,
    style: STYLE,
    x: { domain: x, label: `1x1 latency, ms (p${spec.percentile}) →`, grid: true, labelAnchor: 'center', labelArrow: 'none' },
    y: { domain: y, label: '↑ mAP50-95', grid: true, labelArrow: 'none', tickFormat: '.3f' },
    r: { type: 'identity' },
    marks,
  });
  place(chart, points, width, wide);
  return element('div', {}, chart, ...(wide ? [] : [element('ol', { className: 'legend' }, ...points.map((point) => element('li', { textContent: `${point.number} ${named(point)}` })))]));
};

// Put each label where it covers no other and no dot; narrow pages have numbers, and the names below.
const place = (chart, points, width, wide) => {
  const [sx, sy] = [chart.scale('x').apply, chart.scale('y').apply];
  const taken = points.map((point) => [sx(point.x) - 8, sy(point.y) - 8, sx(point.x) + 8, sy(point.y) + 8]);
  const free = (box) => box[0] > 50 && box[2] < width - 2 && box[1] > 16 && box[3] < Number(chart.getAttribute('height')) - 40 && taken.every((other) => box[2] < other[0] || box[0] > other[2] || box[3] < other[1] || box[1] > other[3]);
  const layer = d3.select(chart).append('g').attr('class', 'm-labels').attr('font-size', 11.5).attr('text-anchor', 'start');
  const inTurn = [...points].sort((a, b) => (b.standing === 'recommended') - (a.standing === 'recommended') || b.front - a.front);
  inTurn.forEach((point) => {
    const text = wide ? named(point) : String(point.number);
    const size = text.length * (wide ? 7 : 8);
    const [px, py] = [sx(point.x), sy(point.y)];
    const spots = [[11, 0], [9, -16], [9, 16], [-11 - size, 0], [-9 - size, -16], [-9 - size, 16]];
    for (let far = 32; far <= 176; far += 16) spots.push([16, -far], [16, far], [-16 - size, -far], [-16 - size, far], [-size / 2, far], [-size / 2, -far]);
    const spot = spots.find(([dx, dy]) => free([px + dx, py + dy - 8, px + dx + size, py + dy + 7]));
    if (!spot) return;
    const [dx, dy] = spot;
    taken.push([px + dx, py + dy - 8, px + dx + size, py + dy + 7]);
    if (Math.abs(dy) > 20) layer.append('line').attr('x1', px).attr('y1', py).attr('x2', px + dx + (dx < 0 ? size : 0) * (Math.abs(dx) === size / 2 ? 0.5 : 1)).attr('y2', py + dy).attr('stroke', 'currentColor').attr('stroke-opacity', 0.25);
    layer.append('text').attr('x', px + dx).attr('y', py + dy).attr('dy', '0.35em').attr('fill', colour(point.standing) === 'var(--plain)' ? 'currentColor' : colour(point.standing)).attr('font-weight', point.standing === 'recommended' ? 700 : 400).attr('font-family', wide ? 'var(--mono)' : 'inherit').text(text);
  });
};
