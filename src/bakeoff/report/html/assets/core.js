// What all charts share: the data, colours by verdict, labels.
const data = JSON.parse(document.getElementById('data').textContent);
const COLOURS = {
  recommended: 'var(--accent)', reference: 'var(--ink)', rejected: 'var(--bad)', undecided: 'var(--doubt)',
};
const SERIES = ['#1b9e77', '#d95f02', '#7570b3', '#e7298a', '#66a61e', '#b58900', '#a6761d', '#3b8fd0', '#c0504d', '#8c6bb1', '#2aa198', '#9c755f'];
const colour = (standing) => COLOURS[standing] || 'var(--plain)';
const named = (row) => `${row.glyph} ${row.key}`.trim();
const figure = (value, digits, signed) => {
  const text = Math.abs(value).toFixed(digits);
  const sign = value < 0 && Number(text) !== 0 ? '−' : signed ? '+' : '';
  return sign + text;
};
const brief = (value) => String(Number(value.toPrecision(4)));
const STYLE = { fontFamily: 'inherit', fontSize: '12px', background: 'none', color: 'var(--ink)' };
const WIDE = 720;  // below, a label stands above its row
const SIGN = 7.3;  // width of a sign of a key, in pixels

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// How wide labels may be, and what they say: the end of a long key is what tells it from others.
const labelled = (rows, width) => {
  const longest = Math.max(...rows.map((row) => named(row).length));
  return { longest, width: Math.min(longest * SIGN + 14, width * 0.36) };
};
const clipped = (text, width) => {
  const room = Math.floor(width / SIGN);
  return text.length <= room ? text : `${text.slice(0, 3)}…${text.slice(4 - room)}`;
};

const legend = (items) => element('ul', { className: 'legend' }, ...items.map(([name, fill]) => {
  const mark = element('i');
  mark.style.background = fill;
  return element('li', {}, mark, name);
}));
