// Block medians round by round: a strip a Candidate, telemetry below on the same rounds.
const drawTimeline = (charts, width, picture) => {
  const plots = element('div');
  const show = (chart) => plots.replaceChildren(drawStrips(chart, width), ...chart.telemetry.map((told) => drawTold(told, chart, width)));
  const chosen = () => charts.find((chart) => chart.workload === picture.dataset.workload) || charts[0];
  const choices = charts.map((chart) => {
    const input = element('input', { type: 'radio', name: 'workload', value: chart.workload, checked: chart === chosen() });
    input.addEventListener('change', () => { picture.dataset.workload = chart.workload; show(chart); silence(picture); });
    return element('label', { className: 'choice' }, input, ` ${chart.workload}`);
  });
  picture.parentNode.querySelector('.switch')?.remove();
  if (charts.length > 1) picture.before(element('fieldset', { className: 'switch' }, element('legend', { textContent: 'Workload' }), ...choices));
  show(chosen());
  return plots;
};

const drawStrips = (chart, width) => {
  const wide = width >= WIDE;
  const label = wide ? labelled(chart.series, width).width : 0;
  const points = chart.series.flatMap((one) => one.x.map((x, i) => ({ key: one.key, standing: one.standing, x, y: one.y[i] / one.median })));
  const ratios = points.map((point) => point.y).sort((a, b) => a - b);
  const spread = Math.max(1.1, Math.min(3, Math.max(ratios[Math.floor(ratios.length * 0.985)], 1 / ratios[Math.floor(ratios.length * 0.015)])));
  const [low, high] = [1 / spread, spread];
  const flagged = chart.series.flatMap((one) => one.flagged.map((x) => ({ key: one.key, x })));
  const strip = wide ? 34 : 50;
  return Plot.plot({
    width,
    height: chart.series.length * strip + 50,
    marginLeft: label || 4,
    marginRight: 74,
    marginTop: 14,
    marginBottom: 34,
    style: STYLE,
    x: { domain: [0, Math.max(1, chart.rounds - 1)], label: 'round →', labelArrow: 'none', labelAnchor: 'right', tickSize: 0, ticks: wide ? 8 : 4 },
    y: { type: 'log', domain: [low, high], axis: null, clamp: true },
    fy: { domain: chart.series.map((one) => one.key), axis: null, padding: wide ? 0.18 : 0.4 },
    marks: [
      Plot.ruleX(chart.generations, { stroke: 'var(--line)' }),
      Plot.ruleY(chart.series, { fy: 'key', y: 1, stroke: 'var(--line)' }),
      Plot.lineY(points, { fy: 'key', x: 'x', y: 'y', z: 'key', stroke: (point) => colour(point.standing), strokeWidth: 1.4, className: 'm-strips' }),
      Plot.tickX(flagged, { fy: 'key', x: 'x', insetTop: wide ? 23 : 25, stroke: 'var(--bad)', strokeWidth: 1.5, className: 'm-flagged' }),
      Plot.text(chart.series, { fy: 'key', frameAnchor: label ? 'left' : 'top-left', textAnchor: label ? 'end' : 'start', dx: label ? -10 : 0, dy: label ? 0 : -12, text: (one) => clipped(named(one), label ? label - 12 : width), fontFamily: 'var(--mono)', fontSize: 11.5, fill: (one) => (one.standing === 'recommended' ? 'var(--accent)' : 'var(--ink)') }),
      Plot.text(chart.series, { fy: 'key', frameAnchor: 'right', textAnchor: 'end', dx: 70, text: (one) => `${brief(one.median)} ms`, className: 'm-figures' }),
    ],
  });
};

const drawTold = (told, chart, width) => {
  const wide = width >= WIDE;
  const label = wide ? labelled(chart.series, width).width : 0;
  const points = told.x.map((x, i) => ({ x, y: told.y[i] }));
  return element('div', {}, element('p', { className: 'how', textContent: told.name }), Plot.plot({
    width,
    height: 74,
    marginLeft: label || 44,
    marginRight: 74,
    marginTop: 6,
    marginBottom: 8,
    style: STYLE,
    x: { domain: [0, Math.max(1, chart.rounds - 1)], axis: null },
    y: { ticks: 3, label: null, grid: true, zero: told.name.includes('share') },
    marks: [Plot.ruleX(chart.generations, { stroke: 'var(--line)' }), Plot.lineY(points, { x: 'x', y: 'y', stroke: 'var(--plain)', className: 'm-telemetry' })],
  }));
};
