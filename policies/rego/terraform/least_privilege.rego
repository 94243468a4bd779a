# METADATA
# title: Nobody may do everything
# description: >-
#   No document allows every action of a service on everything, or all but some, and none that stands at a
#   resource lets in everybody without a condition. Wildcards count by what they stand for. Two things look like it and are not. In the policy of a key
#   the resource * is that key, and the root of its own account must be able to administer it, or nobody can
#   ever change the policy again. And the policy of a network's endpoint gives no rights: it narrows those that
#   somebody has, by a condition.
# custom:
#   severity: critical
#   remedy: Name the actions, the resources and whom it is for.
#   types: [aws_backup_vault_policy, aws_dynamodb_resource_policy, aws_ecr_repository_policy, aws_efs_file_system_policy, aws_iam_access_key, aws_iam_group_policy, aws_iam_group_policy_attachment, aws_iam_policy, aws_iam_policy_attachment, aws_iam_policy_document, aws_iam_role, aws_iam_role_policy, aws_iam_role_policy_attachment, aws_iam_user_policy, aws_iam_user_policy_attachment, aws_kms_key, aws_kms_key_policy, aws_kms_replica_key, aws_s3_bucket_policy, aws_secretsmanager_secret_policy, aws_sns_topic, aws_sns_topic_policy, aws_sqs_queue, aws_sqs_queue_policy, aws_vpc_endpoint]
#   attributes: [assume_role_policy, inline_policy, managed_policy_arns, policy, policy_arn, statement]
#   configured: []
package terraform.least_privilege

import rego.v1

import data.lib.iam
import data.lib.plan

# Where a type has its documents.
documents := {
	"aws_backup_vault_policy": "policy",
	"aws_dynamodb_resource_policy": "policy",
	"aws_ecr_repository_policy": "policy",
	"aws_efs_file_system_policy": "policy",
	"aws_iam_group_policy": "policy",
	"aws_iam_policy": "policy",
	"aws_iam_role": "assume_role_policy",
	"aws_iam_role_policy": "policy",
	"aws_iam_user_policy": "policy",
	"aws_kms_key": "policy",
	"aws_kms_key_policy": "policy",
	"aws_kms_replica_key": "policy",
	"aws_s3_bucket_policy": "policy",
	"aws_secretsmanager_secret_policy": "policy",
	"aws_sns_topic": "policy",
	"aws_sns_topic_policy": "policy",
	"aws_sqs_queue": "policy",
	"aws_sqs_queue_policy": "policy",
	"aws_vpc_endpoint": "policy",
}

keys := {"aws_kms_key", "aws_kms_key_policy", "aws_kms_replica_key"}

# What gives rights to somebody; a document that stands at a resource gives rights to it.
identities := {"aws_iam_group_policy", "aws_iam_policy", "aws_iam_role", "aws_iam_role_policy", "aws_iam_user_policy"}

at_resources := object.keys(documents) - {"aws_iam_group_policy", "aws_iam_policy", "aws_iam_role_policy", "aws_iam_user_policy", "aws_vpc_endpoint"}

attachments := {"aws_iam_group_policy_attachment", "aws_iam_policy_attachment", "aws_iam_role_policy_attachment", "aws_iam_user_policy_attachment"}

everything := {"AdministratorAccess", "IAMFullAccess", "PowerUserAccess"}

# Actions by which one takes the rights of others, or gives them to oneself.
borrowing := {
	"iam:attachgrouppolicy", "iam:attachrolepolicy", "iam:attachuserpolicy", "iam:createaccesskey",
	"iam:createpolicyversion", "iam:passrole", "iam:putgrouppolicy", "iam:putrolepolicy", "iam:putuserpolicy",
	"iam:updateassumerolepolicy", "sts:assumerole",
}

deny contains plan.denial(r, "nobody can tell what its policy allows", "Write it with jsonencode, in the words of AWS") if {
	some r in unreadable
}

deny contains plan.denial(r, concat("", ["it allows ", action, " on everything"]), "Name the actions and the resources") if {
	some [r, statement, action] in on_everything
	iam.every_action(action)
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
	r.type in identities
	not iam.every_action(action)
}

deny contains plan.denial(r, concat("", ["it has ", name]), "Attach a policy that names what it needs") if {
	some r in array.concat(roles, others)
	some arn in array.concat([object.get(r.change.after, "policy_arn", "")], object.get(r.change.after, "managed_policy_arns", []))
	name := regex.replace(arn, `^.*/`, "")
	name in everything
}

# A document that has something in it that is known on apply alone; the rest of it is known.
deny contains plan.denial(r, concat("", ["it allows ", action, " on everything"]), "Name the actions and the resources") if {
	some r in others
	some statement in r.change.after.statement
	object.get(statement, "effect", null) in {null, "Allow"}
	some resource in statement.resources
	iam.everything(resource)
	some action in statement.actions
	iam.every_action(action)
	count(object.get(statement, "principals", [])) == 0
}

deny contains plan.denial(r, "it is a secret that does not expire", "Use a role") if {
	some r in others
	r.type == "aws_iam_access_key"
}

unreadable := [r |
	some [r, document] in written
	not iam.readable(document)
]

# Every statement that allows something, with its resource.
allowing := [[{"address": r.address, "type": r.type}, statement] |
	some [r, document] in written
	some statement in iam.statements(document)
	statement.Effect == "Allow"
]

written := array.concat(
	[[r, iam.read(text)] |
		some r in plan.of(object.keys(documents))
		text := object.get(r.change.after, documents[r.type], null)
		not text in [null, ""]
	],
	[[r, iam.read(text)] |
		some r in roles
		some inline in object.get(r.change.after, "inline_policy", [])
		text := object.get(inline, "policy", null)
		not text in [null, ""]
	],
)

roles := plan.of({"aws_iam_role"})

without_document := attachments | {"aws_iam_access_key", "aws_iam_policy_document"}

# What has no document of its own: sought once, since these are few among many.
others := [r |
	some r in input.resource_changes
	r.type in without_document
	r.change.after != null
]

# Sought in comprehensions: a plan has a few documents for each tenant.
on_everything := [[r, statement, action] |
	some [r, statement] in allowing
	reaches_everything(statement)
	some action in iam.list(object.get(statement, "Action", []))
	suspicious(action)
]

unconditional := [[r, statement] |
	some [r, statement] in allowing
	not iam.conditional(statement)
]

reaches_everything(statement) if {
	some resource in iam.list(object.get(statement, "Resource", []))
	iam.everything(resource)
}

inversions := {"NotAction", "NotPrincipal", "NotResource"}

inverted := [[r, statement] |
	some [r, statement] in allowing
	count(inversions & object.keys(statement)) > 0
]

suspicious(action) if iam.every_action(action)

suspicious(action) if iam.stands_for(action, borrowing)

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
	iam.conditional(statement)
}
