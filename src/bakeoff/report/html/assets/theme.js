(() => {
  'use strict';
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem('bakeoff-theme'); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem('bakeoff-theme', theme); } catch { /* a page from disk may keep nothing */ } };
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const shown = () => root.dataset.theme || (dark.matches ? 'dark' : 'light');
  if (['dark', 'light'].includes(kept())) root.dataset.theme = kept();
  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const name = () => {
      button.textContent = shown() === 'dark' ? 'Light' : 'Dark';
      button.setAttribute('aria-label', `Show the page ${button.textContent.toLowerCase()}`);
    };
    button.hidden = false;
    name();
    dark.addEventListener('change', name);
    button.addEventListener('click', () => {
      root.dataset.theme = shown() === 'dark' ? 'light' : 'dark';
      keep(root.dataset.theme);
      name();
    });
  });
})();
