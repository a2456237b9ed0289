"""`edgefn ls`."""

from edgefn import client
from edgefn.cli import options, output


def command(url: options.Url = None, box: options.Box = None, json: options.Json = False) -> None:
    """Lists the functions of a box."""
    with client.AdminClient(url, box=box) as admin:
        functions = admin.functions()
        if json:
            output.print_json({"functions": functions})
            return
    if not functions:
        output.note(f"nothing is deployed at {admin.url}; deploy with: edgefn deploy FOLDER")
        return
    output.out.print(output.function_table(functions))
