// Compiles the contracts beside it. Run where node_modules has solc and solady:
//   node compile.js CONTRACTS_DIR   →   {"OrderVerifier": "6080…", …} with `deployed` beside it

const fs = require("fs");
const path = require("path");
const solc = require("solc");

const folder = process.argv[2];
const names = fs.readdirSync(folder).filter((name) => name.endsWith(".sol"));
const sources = Object.fromEntries(
  names.map((name) => [name, { content: fs.readFileSync(path.join(folder, name), "utf8") }])
);
const input = {
  language: "Solidity",
  sources,
  settings: {
    evmVersion: "cancun",
    optimizer: { enabled: true, runs: 200 },
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};
const imported = (name) => ({ contents: fs.readFileSync(require.resolve(name), "utf8") });
const output = JSON.parse(solc.compile(JSON.stringify(input), { import: imported }));
const errors = (output.errors || []).filter((error) => error.severity === "error");
if (errors.length) {
  console.error(errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
const compiled = {};
for (const name of names) {
  for (const [contract, made] of Object.entries(output.contracts[name])) {
    compiled[contract] = {
      code: made.evm.bytecode.object,
      deployed: made.evm.deployedBytecode.object,
    };
  }
}
console.log(JSON.stringify(compiled));
