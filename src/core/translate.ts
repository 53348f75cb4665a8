// Every sentence that a person reads in VS Code goes through `t`: the English text is its own key, as for `vscode.l10n.t`.
// What is made to be pasted elsewhere (log, diagnostics, explanations, the terminal's program) stays English.

export type Translations = Readonly<Record<string, string>>;

let translations: Translations = {};

/** Takes the sentences of another language, by the English ones; those that are missing stay English. Once, at the start. */
export function useTranslations(bundle: Translations | undefined): void {
  translations = bundle ?? {};
}

/**
 * The sentence in the user's language, each `{name}` replaced by the value of that name; a name without one stays as it is.
 * The message is written out where `t` is called, so that a test finds them all.
 */
export function t(message: string, values: Readonly<Record<string, string | number>> = {}): string {
  const text = Object.hasOwn(translations, message) ? translations[message]! : message;
  return text.replace(/\{(\w+)\}/g, (written, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : written,
  );
}
