"""
Findings on IAM policies, as JSON on stdout: [{"policy", "sid", "rule", "detail"}]. Policies come as JSON on stdin:
[{"policy": name, "document": {…}}], with ARNs as they are once deployed.

What each action takes (its resources, its condition keys) is policy_sentry's copy of AWS' service authorization
reference; what a policy could be misused for is asked of cloudsplaining.
"""
import json
import sys
from functools import lru_cache

from cloudsplaining.scan.policy_document import PolicyDocument
from policy_sentry.shared.iam_data import get_service_prefix_data

RISKS = {
    "privilege-escalation": "allows_privilege_escalation",
    "data-exfiltration": "allows_data_exfiltration_actions",
    "credentials-exposure": "credentials_exposure",
    "permissions-without-constraints": "permissions_management_without_constraints",
    "writes-without-constraints": "write_actions_without_constraints",
    "service-wildcard": "service_wildcard",
}


def overlap(one, other):
    """Whether some text is matched by both globs."""

    @lru_cache(maxsize=None)
    def at(i, j):
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            return at(i + 1, j) or (j < len(other) and at(i, j + 1))
        if j < len(other) and other[j] == "*":
            return at(i, j + 1) or (i < len(one) and at(i + 1, j))
        if i == len(one) or j == len(other):
            return False
        return (one[i] == other[j] or "?" in (one[i], other[j])) and at(i + 1, j + 1)

    return at(0, 0)


def as_glob(arn):
    """`arn:${Partition}:ecs:…/${Name}` with a star for each placeholder."""
    parts = arn.split("${")
    return parts[0] + "".join("*" + part.split("}", 1)[1] for part in parts[1:])


def matches(resource, pattern):
    ours, theirs = resource.split(":", 5), as_glob(pattern).split(":", 5)
    return len(ours) == len(theirs) and all(overlap(a, b) for a, b in zip(ours, theirs))


def as_list(value):
    return value if isinstance(value, list) else [value]


def condition_keys(privilege, resources):
    """Condition keys of an action: its own, and those of the resources that it takes."""
    own = {key for kind in privilege["resource_types"].values() for key in kind["condition_keys"]}
    return own | {key for kind in privilege["resource_types"] if kind in resources for key in resources[kind]["condition_keys"]}


def is_key(key, known):
    if key.lower().startswith("aws:"):
        return True
    return any(key.lower() == one.lower() or ("${" in one and key.lower().startswith(one.split("${")[0].lower())) for one in known)


def statement_findings(statement):
    resources = as_list(statement.get("Resource", "*"))
    keys = [key for clause in statement.get("Condition", {}).values() for key in clause]
    used = set()
    for action in as_list(statement["Action"]):
        prefix, _, name = action.partition(":")
        service = get_service_prefix_data(prefix) or {}
        privilege = service.get("privileges", {}).get(name)
        if privilege is None:
            yield "unknown-action", action
            continue
        kinds = [kind for kind in privilege["resource_types"] if kind in service["resources"]]
        taken = [one for one in resources if one != "*" and any(matches(one, service["resources"][kind]["arn"]) for kind in kinds)]
        used.update(taken)
        if kinds and not taken and "*" not in resources:
            yield "resource-mismatch", f"{action} takes {', '.join(kinds)}, not {', '.join(resources)}"
        if kinds and "*" in resources:
            yield "resource-star", f"{action} could name {', '.join(kinds)}"
        if not kinds and "*" not in resources:
            yield "resource-mismatch", f"{action} takes no resource: it is allowed on * or not at all"
        known = condition_keys(privilege, service["resources"])
        for key in keys:
            if not is_key(key, known):
                yield "unknown-condition-key", f"{action} has no {key}"
    for one in resources:
        if one != "*" and one not in used:
            yield "resource-unused", f"no action of the statement takes {one}"


def findings(policy):
    document = policy["document"]
    for statement in document["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        for rule, detail in statement_findings(statement):
            yield statement.get("Sid", ""), rule, detail
    judged = PolicyDocument({"Version": document.get("Version", "2012-10-17"), "Statement": document["Statement"]})
    for rule, attribute in RISKS.items():
        for found in getattr(judged, attribute) or []:
            yield "", rule, json.dumps(found, sort_keys=True)


json.dump(
    [
        {"policy": policy["policy"], "sid": sid, "rule": rule, "detail": detail}
        for policy in json.load(sys.stdin)
        for sid, rule, detail in findings(policy)
    ],
    sys.stdout,
)
