// Every sentence that a person reads in VS Code goes through `t`: the English text is its own key, as for `vscode.l10n.t`.
// What is made to be pasted elsewhere (log, diagnostics, explanations, the terminal's program) stays English.

export type Translations = Readonly<Record<string, string>>;

let translations: Translations = {};

/** Takes the sentences of another language, by the English ones; those that are missing stay English. Once, at the start. */
export function useTranslations(bundle: Translations | undefined): void {
  translations = bundle ?? {};
}

/** What `make` says, in English whatever the user's language is: for what is made to be pasted elsewhere. */
export function inEnglish<T>(make: () => T): T {
  const kept = translations;
  translations = {};
  try {
    return make();
  } finally {
    translations = kept;
  }
}

/**
 * The sentence in the user's language, each `{name}` replaced by the value of that name; a name without one stays as it is.
 * The message is written out where `t` is called, so that a test finds them all. A translation may write `{name:form}` for a
 * value that it inflects: the bundle then has that form of the value under `value:form`, and any other value stays as it is.
 */
export function t(message: string, values: Readonly<Record<string, string | number>> = {}): string {
  const text = translated(message) ?? message;
  return text.replace(/\{(\w+)(?::(\w+))?\}/g, (written, name: string, form: string | undefined) => {
    if (!Object.hasOwn(values, name)) return written;
    const value = String(values[name]);
    return form === undefined ? value : (translated(`${value}:${form}`) ?? value);
  });
}

function translated(key: string): string | undefined {
  return Object.hasOwn(translations, key) ? translations[key] : undefined;
}
