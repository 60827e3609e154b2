"""Validates documents with the JSON Schemas of a folder.

Reads pairs of a schema's name and a YAML text as JSON from standard input, and prints the
problems of each as JSON.
"""

import json
import pathlib
import sys

import jsonschema
import referencing
import yaml

folder = pathlib.Path(sys.argv[1])


class Texts(yaml.SafeLoader):
    """Leaves dates as texts, as YAML 1.2 does."""


Texts.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def schema(name):
    return json.loads((folder / name).read_text())


def resource(name):
    return referencing.Resource.from_contents(schema(name))


registry = referencing.Registry(retrieve=resource)


def problems(name, text):
    contents = schema(name)
    jsonschema.Draft202012Validator.check_schema(contents)
    validator = jsonschema.Draft202012Validator(contents, registry=registry)
    for document in yaml.load_all(text, Loader=Texts):
        for error in validator.iter_errors(document):
            yield f"{error.json_path}: {error.message}"


print(json.dumps([list(problems(*pair)) for pair in json.load(sys.stdin)]))
