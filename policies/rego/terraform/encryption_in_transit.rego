# METADATA
# title: Everything that is sent is encrypted
# description: >-
#   Caches, databases, load balancers, object stores and topics speak TLS and nothing else, inside the network,
#   too: zero trust knows no inside.
# custom:
#   severity: critical
#   remedy: Require TLS at the resource.
#   types: [aws_db_parameter_group, aws_elasticache_replication_group, aws_lb_listener, aws_lb_target_group, aws_rds_cluster, aws_rds_cluster_parameter_group, aws_s3_bucket, aws_s3_bucket_policy]
package terraform.encryption_in_transit

import rego.v1

import data.lib.plan
import data.lib.iam

deny contains plan.denial(r, "it also speaks without TLS", "Set transit_encryption_enabled to true and transit_encryption_mode to required") if {
	some r in plan.of({"aws_elasticache_replication_group"})
	not requires_tls(r)
}

deny contains plan.denial(r, "clients reach it without TLS", "Use HTTPS or TLS, or redirect to it") if {
	some r in plan.of({"aws_lb_listener"})
	not r.change.after.protocol in {"HTTPS", "TLS"}
	not redirects(r)
}

deny contains plan.denial(r, "what is behind it is reached without TLS", "Use HTTPS or TLS") if {
	some r in plan.of({"aws_lb_target_group"})
	not object.get(r.change.after, "protocol", null) in {null, "HTTPS", "TLS"}
}

deny contains plan.denial(r, "the database takes connections without TLS", "Set the parameter rds.force_ssl to 1") if {
	some r in plan.of({"aws_db_parameter_group", "aws_rds_cluster_parameter_group"})
	contains(r.change.after.family, "postgres")
	not forces_tls(r)
}

deny contains plan.denial(r, "its parameters do not require TLS", "Name a parameter group with rds.force_ssl = 1") if {
	some r in plan.of({"aws_rds_cluster"})
	not plan.given(r, "db_cluster_parameter_group_name")
}

deny contains plan.denial(r, "it takes requests without TLS", "Add aws_s3_bucket_policy that denies s3:* where aws:SecureTransport is false") if {
	some r in plan.of({"aws_s3_bucket"})
	count([p | some p in plan.about("aws_s3_bucket_policy", "bucket", r); tls_alone(p)]) == 0
}

requires_tls(r) if {
	plan.on(r, "transit_encryption_enabled")
	object.get(r.change.after, "transit_encryption_mode", null) in {null, "required"}
}

redirects(r) if {
	some action in r.change.after.default_action
	some redirect in action.redirect
	redirect.protocol == "HTTPS"
}

forces_tls(r) if {
	some parameter in r.change.after.parameter
	parameter.name == "rds.force_ssl"
	parameter.value == "1"
}

tls_alone(p) if plan.unknown(p, ["policy"])

tls_alone(p) if {
	some statement in iam.statements(iam.read(p.change.after.policy))
	statement.Effect == "Deny"
	"s3:*" in iam.list(statement.Action)
	"*" in iam.principals(statement)
	iam.list(statement.Condition.Bool["aws:SecureTransport"]) == ["false"]
	every key in object.keys(statement.Condition) { key == "Bool" }
}
