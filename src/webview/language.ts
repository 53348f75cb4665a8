// uPlot makes a number format for the browser’s language when it is loaded, and some name one that is none (`en-US@posix`).
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en' });
}
