import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["api/web/dist*/"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-console": "error", // nothing a worker typed may end up there
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-var": "error",
      "prefer-const": "error",
      // All of a page is built from text; the policy forbids markup in any case.
      "no-restricted-properties": [
        "error",
        { property: "innerHTML" },
        { property: "outerHTML" },
        { property: "insertAdjacentHTML" },
        { object: "document", property: "cookie" },
        { object: "document", property: "write" },
      ],
      "no-restricted-globals": ["error", "localStorage", "sessionStorage"],
    },
  },
  { files: ["api/web/src/page/**"], languageOptions: { globals: globals.browser } },
  { files: ["api/web/src/worker/**"], languageOptions: { globals: globals.worker } },
  {
    files: ["api/web/src/client/**"],
    languageOptions: { globals: globals["shared-node-browser"] },
  },
  {
    files: ["api/web/*.mjs", "api/web/eslint.config.js"],
    languageOptions: { globals: globals.node },
  },
  { files: ["tests/web/**"], languageOptions: { globals: globals.node } },
];
