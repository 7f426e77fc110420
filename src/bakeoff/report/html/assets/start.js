// Starts the table, and draws each chart for the room it has.
startTable();
const DRAWINGS = { tradeoff: drawTradeoff, timeline: drawTimeline, sweep: drawSweep, cameras: drawCameras, sustained: drawSustained };
const charts = [...document.querySelectorAll('.chart')].map((box) => ({ box: box.querySelector('.plot'), name: box.dataset.chart, width: 0 }));
// A chart is one picture to a screen reader, named by its box: the names that Plot gives to its parts are no words.
const silence = (box) => box.querySelectorAll('svg, svg [aria-label]').forEach((part) => {
  part.removeAttribute('aria-label');
  part.removeAttribute('role');
});
const draw = (chart) => {
  const style = getComputedStyle(chart.box);
  const width = Math.floor(chart.box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
  if (width <= 0 || width === chart.width) return;
  chart.width = width;
  const drawing = DRAWINGS[chart.name] || drawRows;
  chart.box.replaceChildren(drawing(data.charts[chart.name], width, chart.box));
  silence(chart.box);
};
const sizes = new ResizeObserver((changes) => changes.forEach((change) => draw(charts.find((chart) => chart.box === change.target))));
charts.forEach((chart) => { draw(chart); sizes.observe(chart.box); });
