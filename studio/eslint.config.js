// SPDX-License-Identifier: GPL-3.0-or-later
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules/", "*.js", "*.ts"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "max-lines": ["error", 400],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-confusing-void-expression": "off",
      // What the compiler asks for at every index into an array of samples.
      "@typescript-eslint/no-non-null-assertion": "off",
      // What comes out of JSON has the type that is asked for.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
    },
  },
);
