"""`edgefn history`."""

from edgefn import client
from edgefn.cli import options, output


def command(
    name: options.Name, url: options.Url = None, box: options.Box = None, json: options.Json = False
) -> None:
    """Lists the revisions of a function."""
    with client.AdminClient(url, box=box) as admin:
        revisions = admin.history(name)
    if json:
        output.print_json({"revisions": revisions})
        return
    table = output.table("revision", "state", "created", "digest", "note", right=("revision",))
    for revision in revisions:
        table.add_row(
            str(revision.revision),
            output.state(revision.state),
            output.age(revision.created_at),
            revision.digest[:12],
            output.plain(revision.reason or revision.note),
        )
    output.out.print(table)
