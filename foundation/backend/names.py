"""Names of constraints as the schema spells them."""

import re

SHARD_SUFFIX = re.compile(r"_\d{5,}$")  # a distributed table's shards append their number


def plain_constraint_name(name: str) -> str:
    """The name as declared, whichever shard reported it."""
    return SHARD_SUFFIX.sub("", name)
