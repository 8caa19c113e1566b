// Reads an AsyncAPI document with the parser of npm, with every schema that it refers to. Prints what is wrong with it, and how
// many operations it has.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

const file = process.argv[2];
new Parser().parse(readFileSync(file, "utf8"), { source: file }).then(({ document, diagnostics }) => {
  const faults = diagnostics.filter((diagnostic) => diagnostic.severity === 0);
  for (const fault of faults) console.log(`${fault.path.join("/")}: ${fault.message}`);
  if (faults.length > 0 || !document) process.exit(1);
  console.log(`${document.version()} ${document.operations().all().length} operations`);
});
