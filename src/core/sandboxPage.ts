import { t } from './translate.js';

/** What the sandbox's tunnel leads to, as HTML. Plain, since all of it has to come through that tunnel. */
export function sandboxPage(): string {
  const texts = { title: t('It works'), body: t('This page came through an SSH tunnel.') };
  return page.replace(/\{(title|body)\}/g, (_, name: keyof typeof texts) => escapeHtml(texts[name]));
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const page = `<!doctype html>
<html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  :root { color-scheme: light dark; }
  body {
    margin: 0; min-height: 100vh; display: grid; place-items: center;
    font: 17px/1.5 system-ui, sans-serif; color: #17324d;
    background: linear-gradient(160deg, #e8f4ff, #d6f5e6);
  }
  main { padding: 2rem; text-align: center; }
  h1 { margin: 1rem 0 0.25rem; font-size: 2.4rem; }
  p { margin: 0; opacity: 0.8; }
  svg { width: min(26rem, 80vw); }
  .packet { animation: pass 2.4s linear infinite; }
  @keyframes pass { from { transform: translateX(0); } to { transform: translateX(250px); } }
  @media (prefers-color-scheme: dark) {
    body { color: #dcecff; background: linear-gradient(160deg, #12202e, #10291f); }
  }
  @media (prefers-reduced-motion: reduce) { .packet { animation: none; } }
</style>
<main>
  <svg viewBox="0 0 360 90" fill="none" stroke="currentColor" stroke-width="3" aria-hidden="true">
    <rect x="6" y="25" width="40" height="40" rx="6" />
    <rect x="314" y="25" width="40" height="40" rx="6" />
    <path d="M60 30h240M60 60h240" stroke="#1f9d63" stroke-linecap="round" />
    <circle class="packet" cx="55" cy="45" r="6" fill="#1f9d63" stroke="none" />
  </svg>
  <h1>{title}</h1>
  <p>{body}</p>
</main>
</html>
`;
