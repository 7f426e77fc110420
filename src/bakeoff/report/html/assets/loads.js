// What only some Runs have: settings of loading, cameras, sustained load.
const series = (i) => SERIES[i % SERIES.length];

const drawSweep = (spec, width) => {
  const plains = [...new Set(spec.points.map((point) => point.plain))];
  const fill = (point) => series(plains.indexOf(point.plain));
  const front = spec.points.filter((point) => point.front).sort((a, b) => a.x - b.x);
  return element('div', {}, legend(plains.map((plain, i) => [plain, series(i)])), Plot.plot({
    width,
    height: 380,
    marginLeft: 52,
    marginBottom: 40,
    style: STYLE,
    x: { label: 'latency of one prediction, ms (median) →', labelArrow: 'none', labelAnchor: 'center', grid: true },
    y: { label: '↑ frames/s, all streams together', labelArrow: 'none', grid: true },
    marks: [
      Plot.line(front, { x: 'x', y: 'y', stroke: 'var(--ink)', strokeOpacity: 0.4, className: 'm-front' }),
      Plot.dot(spec.points, { x: 'x', y: 'y', stroke: fill, fill: (point) => (point.key === point.plain ? fill(point) : 'none'), strokeWidth: 1.6, r: 4.5, title: (point) => `${point.key}\n${point.workload}: ${brief(point.x)} ms, ${brief(point.y)} frames/s`, tip: true, className: 'm-dots' }),
    ],
  }));
};

const drawCameras = (spec, width) => {
  const known = spec.series.flatMap((one) => one.points.map((point) => point.ms)).filter((ms) => ms !== null);
  const top = 1.25 * Math.max(spec.slo, ...known.map((ms) => Math.min(ms, 4 * spec.slo)));
  const points = spec.series.flatMap((one, i) => one.points.map((point) => ({ key: one.key, i, x: point.cameras, y: point.ms === null ? top : Math.min(point.ms, top), above: point.ms === null || point.ms > top })));
  const most = Math.max(...points.map((point) => point.x));
  return element('div', {}, legend(spec.series.map((one, i) => [`${named(one)}: ${one.answer}, ${one.streams} stream${one.streams === 1 ? '' : 's'}`, series(i)])), Plot.plot({
    width,
    height: 360,
    marginLeft: 52,
    marginBottom: 40,
    style: STYLE,
    x: { label: `cameras of ${spec.fps} frames/s →`, labelArrow: 'none', labelAnchor: 'center', ticks: Math.min(most, 12), tickFormat: 'd', domain: [0.5, most + 0.5] },
    y: { label: `↑ p${spec.percentile} from scheduled arrival, ms`, labelArrow: 'none', grid: true, domain: [0, top] },
    marks: [
      Plot.ruleY([spec.slo], { stroke: 'var(--bad)', strokeDasharray: '4 3' }),
      Plot.text([`limit ${spec.slo} ms`], { y: spec.slo, frameAnchor: 'right', dy: -8, textAnchor: 'end', fill: 'var(--bad)' }),
      Plot.line(points, { x: 'x', y: 'y', z: 'key', stroke: (point) => series(point.i), className: 'm-lines' }),
      Plot.dot(points, { x: 'x', y: 'y', symbol: (point) => (point.above ? 'triangle' : 'circle'), fill: (point) => series(point.i), r: 4, title: (point) => `${point.key}\n${point.x} cameras: ${point.above ? 'dropped, or above the chart' : `${brief(point.y)} ms`}`, tip: true, className: 'm-dots' }),
    ],
    symbol: { domain: [false, true], range: ['circle', 'triangle'] },
  }));
};

const drawSustained = (spec, width) => {
  const lines = (values) => spec.series.flatMap((one, i) => one.t.map((t, j) => ({ key: one.key, i, t, y: values(one)[j] })).filter((point) => point.y !== null && point.y !== undefined));
  const stroke = (point) => series(point.i);
  const throttled = spec.series.map((one, i) => ({ i, t: one.throttled_at })).filter((one) => one.t !== null);
  const shared = { width, marginLeft: 56, style: STYLE };
  const box = element('div', {}, legend(spec.series.map((one, i) => [named(one), series(i)])), Plot.plot({
    ...shared,
    height: 260,
    x: { label: null },
    y: { label: '↑ latency, ms', labelArrow: 'none', grid: true, zero: true },
    marks: [
      Plot.ruleX(throttled, { x: 't', stroke, strokeDasharray: '4 3' }),
      Plot.lineY(lines((one) => one.p95), { x: 't', y: 'y', z: 'key', stroke, strokeWidth: 0.7, strokeOpacity: 0.7 }),
      Plot.lineY(lines((one) => one.p50), { x: 't', y: 'y', z: 'key', stroke, strokeWidth: 1.6, className: 'm-lines' }),
    ],
  }));
  Object.entries(spec.telemetry).forEach(([name, title]) => box.append(element('p', { className: 'how', textContent: title }), Plot.plot({
    ...shared,
    height: 90,
    x: { label: null },
    y: { label: null, ticks: 3, grid: true },
    marks: [Plot.lineY(lines((one) => one.telemetry[name]), { x: 't', y: 'y', z: 'key', stroke })],
  })));
  box.append(element('p', { className: 'how', textContent: 'Seconds since the load began.' }));
  return box;
};
