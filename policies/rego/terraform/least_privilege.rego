# METADATA
# title: Nobody may do everything
# description: >-
#   No document allows every action of a service on everything, or all but some, and none that stands at a
#   resource lets in everybody without a condition. Two things look like it and are not. In the policy of a key
#   the resource * is that key, and the root of its own account must be able to administer it, or nobody can
#   ever change the policy again. And the policy of a network's endpoint gives no rights: it narrows those that
#   somebody has, by a condition.
# custom:
#   severity: critical
#   remedy: Name the actions, the resources and whom it is for.
#   types: [aws_ecr_repository_policy, aws_iam_access_key, aws_iam_group_policy, aws_iam_group_policy_attachment, aws_iam_policy, aws_iam_role, aws_iam_role_policy, aws_iam_role_policy_attachment, aws_iam_user_policy, aws_iam_user_policy_attachment, aws_kms_key, aws_kms_replica_key, aws_s3_bucket_policy, aws_secretsmanager_secret_policy, aws_sns_topic_policy, aws_sqs_queue_policy, aws_vpc_endpoint]
#   attributes: [assume_role_policy, policy, policy_arn]
package terraform.least_privilege

import rego.v1

import data.lib.iam
import data.lib.plan

# Where a type has its documents.
documents := {
	"aws_ecr_repository_policy": "policy",
	"aws_iam_group_policy": "policy",
	"aws_iam_policy": "policy",
	"aws_iam_role": "assume_role_policy",
	"aws_iam_role_policy": "policy",
	"aws_iam_user_policy": "policy",
	"aws_kms_key": "policy",
	"aws_kms_replica_key": "policy",
	"aws_s3_bucket_policy": "policy",
	"aws_secretsmanager_secret_policy": "policy",
	"aws_sns_topic_policy": "policy",
	"aws_sqs_queue_policy": "policy",
	"aws_vpc_endpoint": "policy",
}

keys := {"aws_kms_key", "aws_kms_replica_key"}

at_resources := {
	"aws_ecr_repository_policy", "aws_iam_role", "aws_kms_key", "aws_kms_replica_key", "aws_s3_bucket_policy",
	"aws_secretsmanager_secret_policy", "aws_sns_topic_policy", "aws_sqs_queue_policy",
}

everything := {"AdministratorAccess", "IAMFullAccess", "PowerUserAccess"}

# Actions by which one takes the rights of others.
borrowing := {"*", "iam:*", "iam:PassRole", "sts:*", "sts:AssumeRole"}

deny contains plan.denial(r, "its policy is no JSON", "Make it with jsonencode") if {
	some r in unreadable
}

deny contains plan.denial(r, concat("", ["it allows ", action, " on everything"]), "Name the actions and the resources") if {
	some [r, statement, action] in on_everything
	broad(action)
	not narrowed(r, statement)
}

deny contains plan.denial(r, concat("", ["it allows all but what ", key, " names"]), "Name what is allowed") if {
	some [r, statement] in inverted
	some key in inversions & object.keys(statement)
}

deny contains plan.denial(r, "it lets in everybody without a condition", "Name the principal, or add a condition") if {
	some [r, statement] in unconditional
	r.type in at_resources
	"*" in iam.principals(statement)
}

deny contains plan.denial(r, concat("", ["it lends every right there is by ", action]), "Name the roles") if {
	some [r, _, action] in on_everything
	r.type in {"aws_iam_group_policy", "aws_iam_policy", "aws_iam_role_policy", "aws_iam_user_policy"}
	action in borrowing
	not broad(action)
}

deny contains plan.denial(r, concat("", ["it has ", name]), "Attach a policy that names what it needs") if {
	some r in plan.of({"aws_iam_group_policy_attachment", "aws_iam_role_policy_attachment", "aws_iam_user_policy_attachment"})
	some name in everything
	endswith(r.change.after.policy_arn, concat("", ["/", name]))
}

deny contains plan.denial(r, "it is a secret that does not expire", "Use a role") if {
	some r in plan.of({"aws_iam_access_key"})
}

unreadable := [r |
	some r in plan.of(object.keys(documents))
	document := object.get(r.change.after, documents[r.type], null)
	not document in [null, ""]
	not json.is_valid(document)
]

# Every statement that allows something, with its resource.
allowing := [[{"address": r.address, "type": r.type}, statement] |
	some r in plan.of(object.keys(documents))
	some statement in iam.statements(r.change.after[documents[r.type]])
	statement.Effect == "Allow"
]

# Sought in comprehensions: a plan has a few documents for each tenant.
on_everything := [[r, statement, action] |
	some [r, statement] in allowing
	"*" in iam.list(object.get(statement, "Resource", []))
	some action in iam.list(object.get(statement, "Action", []))
	suspicious(action)
]

unconditional := [[r, statement] |
	some [r, statement] in allowing
	count(object.get(statement, "Condition", {})) == 0
]

inversions := {"NotAction", "NotPrincipal", "NotResource"}

inverted := [[r, statement] |
	some [r, statement] in allowing
	count(inversions & object.keys(statement)) > 0
]

suspicious(action) if broad(action)

suspicious(action) if action in borrowing

broad(action) if action == "*"

broad(action) if endswith(action, ":*")

# Of its own account's root, which is nobody in particular: it hands the decision on to policies of that account.
narrowed(r, statement) if {
	r.type in keys
	count(iam.principals(statement)) > 0
	every principal in iam.principals(statement) {
		startswith(principal, "arn:aws:iam::")
		endswith(principal, ":root")
	}
}

narrowed(r, statement) if {
	r.type == "aws_vpc_endpoint"
	count(object.get(statement, "Condition", {})) > 0
}
