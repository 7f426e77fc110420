// The table of Candidates: sorted by any column, filtered by words and verdicts.
const startTable = () => {
  const table = document.getElementById('candidates');
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const standings = [...document.querySelectorAll('.tools input[type=checkbox]')].map((box) => box.value);
  const value = (row, by) => {
    if (by === 'name') return row.dataset.key;
    if (by === 'standing') return row.dataset.standing ? standings.indexOf(row.dataset.standing) : null;
    return data.sorted[row.dataset.key][Number(by)];
  };
  const compare = (a, b) => (typeof a === 'string' ? a.localeCompare(b) : a - b);
  const sort = (head, direction) => {
    const by = head.dataset.sort;
    const known = rows.filter((row) => value(row, by) !== null);
    const unknown = rows.filter((row) => value(row, by) === null);  // last, whichever way
    known.sort((a, b) => direction * compare(value(a, by), value(b, by)));
    body.append(...known, ...unknown);
    heads.forEach((one) => one.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', direction > 0 ? 'ascending' : 'descending');
  };
  heads.forEach((head) => {
    const button = element('button', { type: 'button', textContent: head.textContent });
    button.addEventListener('click', () => sort(head, head.getAttribute('aria-sort') === 'ascending' ? -1 : 1));
    head.replaceChildren(button);
  });

  const tools = document.querySelector('.tools');
  const filter = document.getElementById('filter');
  const count = document.getElementById('count');
  const apply = () => {
    const words = filter.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    const allowed = new Set([...tools.querySelectorAll('input[type=checkbox]:checked')].map((box) => box.value));
    let shown = 0;
    rows.forEach((row) => {
      const text = row.dataset.words.toLowerCase();
      const standing = row.dataset.standing;
      row.hidden = !(words.every((word) => text.includes(word)) && (!standing || allowed.has(standing)));
      shown += !row.hidden;
    });
    count.textContent = shown === rows.length ? `${rows.length} Candidates` : `${shown} of ${rows.length} Candidates`;
  };
  tools.addEventListener('input', apply);
  tools.hidden = false;
  apply();
};
