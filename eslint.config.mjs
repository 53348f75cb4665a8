import tseslint from 'typescript-eslint';

const restricted = [
  { selector: 'TSEnumDeclaration', message: 'Use a union of string literals.' },
  { selector: 'ExportDefaultDeclaration', message: 'Use a named export.' },
];

export default tseslint.config(
  { ignores: ['dist/', 'out/', 'node_modules/', 'test/support/vscodeHost*/', '**/*.cjs'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // The methods of our ports are closures: none uses `this`.
      '@typescript-eslint/unbound-method': 'off',
      eqeqeq: 'error',
      'no-restricted-syntax': ['error', ...restricted],
    },
  },
  {
    // Pure: time, chance and the environment are passed in.
    files: ['src/core/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        'process',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'fetch',
        'performance',
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now' },
        { object: 'Math', property: 'random' },
      ],
    },
  },
  {
    // What ssh2 keeps to itself has a plain name there.
    files: ['src/**'],
    ignores: ['src/engine/ssh2Inside.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...restricted,
        {
          selector:
            'MemberExpression[property.name=/^_/], MemberExpression[property.value=/^_/], ObjectPattern > Property[key.name=/^_/]',
          message: 'Private: give it a plain name in ssh2Inside.ts.',
        },
      ],
    },
  },
  { files: ['**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  { files: ['**/*.mjs'], rules: { 'no-restricted-syntax': 'off' } },
);
