import { readFileSync } from 'node:fs';
import ts from 'typescript';

export interface Sentences {
  /** The first arguments of `t`, with the names of the values that are written out with each. */
  said: { key: string; values?: readonly string[]; place: string }[];
  /** Calls of `t` whose first argument is no literal. */
  unwritten: string[];
  /** Texts that read like words for a person and don't go through `t`. */
  untranslated: { text: string; place: string }[];
}

/**
 * What a source file says, by `file:line`. Types, property names, errors that are thrown, lines of the log and what is
 * compared are no sentences.
 */
export function sentencesOf(path: string, name: string): Sentences {
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  const placeOf = (node: ts.Node) => `${name}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
  const found: Sentences = { said: [], unwritten: [], untranslated: [] };

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isTypeNode(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    if (ts.isNewExpression(node) && /Error$/.test(node.expression.getText())) return;
    if (ts.isPropertyAssignment(node)) return visit(node.initializer);
    if (ts.isElementAccessExpression(node)) return visit(node.expression);
    if (ts.isCaseClause(node)) return node.statements.forEach(visit);
    if (ts.isCallExpression(node) && node.expression.getText() === 't') {
      const [message, values] = node.arguments;
      if (message && ts.isStringLiteralLike(message))
        found.said.push({ key: message.text, ...valueNames(values), place: placeOf(node) });
      else found.unwritten.push(placeOf(node));
      return node.arguments.slice(1).forEach(visit);
    }
    if (ts.isCallExpression(node) && /^log\.(?:info|warn|error)$/.test(node.expression.getText())) return;
    if (ts.isBinaryExpression(node) && /^[!=]==$/.test(node.operatorToken.getText()))
      return [node.left, node.right].filter((side) => !ts.isStringLiteralLike(side)).forEach(visit);
    if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) {
      const text = textOf(node);
      if (isForPeople(text)) found.untranslated.push({ text, place: placeOf(node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function valueNames(values: ts.Expression | undefined): { values?: readonly string[] } {
  if (!values) return { values: [] };
  if (!ts.isObjectLiteralExpression(values)) return {};
  const names = values.properties.map(({ name }) => name?.getText());
  return names.every((name) => name !== undefined) ? { values: names } : {};
}

/** Of a template with `…` for its values. */
function textOf(node: ts.StringLiteralLike | ts.TemplateExpression): string {
  if (ts.isStringLiteralLike(node)) return node.text;
  return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
}

/** Words with a blank between, or one that begins with a capital; icons such as `$(add)` are none. */
function isForPeople(text: string): boolean {
  const words = text.replace(/\$\([\w~-]+\)/g, '').trim();
  return (/\p{L}\p{Ll}/u.test(words) && /\S\s+\S/.test(words)) || /^\p{Lu}\p{Ll}/u.test(words);
}
