"""Writes google-schema.json: what the provider for Google Cloud takes, for the resources that deploy/terraform uses.

The provider itself cannot be had from a package registry, but its schema can: the npm package below is generated from it. The
package has 32 MB, so this script takes out what the module uses, and the result is committed. Run it when the module uses a
resource that it did not use before, or when the package is renewed:

    python3 tests/deploy/extract_schema.py
"""

import json
import pathlib
import re
import subprocess
import tarfile
import tempfile

PACKAGE = "@cdktf/provider-google@16.12.1"
HERE = pathlib.Path(__file__).parent
MODULE = HERE.parent.parent / "deploy" / "terraform"

ARGUMENT = re.compile(
    r"/\*\*(?P<comment>(?:(?!\*/).)*?)\*/\s*readonly (?P<property>\w+)(?P<optional>\??): (?P<type>[^;]+(?:;\s*\})?);", re.S
)
SIMPLE = {
    "string": "string",
    "number": "number",
    "boolean | cdktf.IResolvable": "bool",
    "string[]": ["list", "string"],
    "number[]": ["list", "number"],
    "{ [key: string]: string; }": ["map", "string"],
    "{ [key: string]: string }": ["map", "string"],
}


def used():
    """The resources and data sources of the module and its examples."""
    text = "".join(path.read_text() for path in sorted(MODULE.rglob("*.tf")))
    return sorted(set(re.findall(r'^(resource|data) "(google_\w+)"', text, re.M)))


def interface(types, name):
    """The body of a TypeScript interface."""
    found = re.search(rf"^export interface {name} (?:extends [\w.]+ )?\{{\n(.*?)^\}}", types, re.M | re.S)
    return found.group(1) if found else ""


def attributes_of(code, name):
    """The generated table that says which attributes are sets."""
    lower = name[0].lower() + name[1:]
    start = code.find(f"function {lower}ToHclTerraform(")
    if start < 0:
        start = code.find("synthesizeHclAttributes()")
    end = code.find("// remove undefined attributes", start)
    return code[start:end]


def block(types, code, name):
    """What a resource, or a block of it, takes."""
    table = attributes_of(code, name)
    arguments, blocks, required = {}, {}, []
    for found in ARGUMENT.finditer(interface(types, name)):
        snake = re.search(r"#(\w+) \w+#", found["comment"]).group(1)
        if found["optional"] == "":
            required.append(snake)
        kind = " ".join(found["type"].split())
        if kind in SIMPLE:
            kind = SIMPLE[kind]
            if isinstance(kind, list) and re.search(rf'\b{snake}: \{{[^}}]*?type: "set"', table):
                kind = ["set", kind[1]]
            arguments[snake] = kind
        else:
            inner = re.match(r"(\w+)(\[\])?", kind)
            blocks[snake] = {"many": bool(inner[2]), **block(types, code, inner[1])}
    made = {"required": required, "arguments": arguments, "blocks": blocks}
    return {key: value for key, value in made.items() if value}


def computed(code, arguments):
    """What only the provider sets, by the getters of the resource's class."""
    body = code[code.rfind("extends cdktf.TerraformResource") :] if "extends cdktf.TerraformResource" in code else ""
    body = body or code[code.rfind("extends cdktf.TerraformDataSource") :]
    kinds = {"String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"]}
    getters = re.findall(r"this\.get(String|Number|Boolean|List)Attribute\('(\w+)'\)", body)
    return {name: kinds[kind] for kind, name in getters if name not in arguments}


def resource(package, kind, name):
    """One resource or data source."""
    folder = name.removeprefix("google_").replace("_", "-")
    folder = f"data-google-{folder}" if kind == "data" else folder
    types = package.extractfile(f"package/lib/{folder}/index.d.ts").read().decode()
    code = package.extractfile(f"package/lib/{folder}/index.js").read().decode()
    config = re.search(r"^export interface (\w+) extends cdktf\.TerraformMetaArguments", types, re.M).group(1)
    made = block(types, code, config)
    made["computed"] = computed(code, made.get("arguments", {}))
    return made, re.search(r"providerVersion: '([\d.]+)'", code).group(1)


def one_line_each(schema):
    """JSON with a line for each resource, so that a renewal can be read as a diff."""
    lines = [f'"{key}": {json.dumps(schema[key])}' for key in ("package", "provider", "version")]
    for kind in ("resource", "data"):
        entries = [f'  "{name}": {json.dumps(made, separators=(",", ":"))}' for name, made in schema[kind].items()]
        lines.append(f'"{kind}": {{\n' + ",\n".join(entries) + "\n}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    """Fetches the package, and writes the file."""
    schema = {"package": PACKAGE, "provider": "hashicorp/google", "version": None, "resource": {}, "data": {}}
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True)
        with tarfile.open(pathlib.Path(folder, made.stdout.strip())) as package:
            for kind, name in used():
                schema[kind][name], schema["version"] = resource(package, kind, name)
    (HERE / "google-schema.json").write_text(one_line_each(schema))
    print(f"{len(schema['resource'])} resources and {len(schema['data'])} data sources of {schema['version']}")


if __name__ == "__main__":
    main()
