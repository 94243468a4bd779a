# METADATA
# title: What happens is logged, and kept for as long as it must be
# description: >-
#   Kubernetes logs who did what, networks log flows, load balancers log requests, databases log connections,
#   and each log has an end that is not too near.
# custom:
#   severity: medium
#   remedy: Switch the log on, and say how long it is kept.
#   types: [aws_cloudwatch_log_group, aws_eks_cluster, aws_flow_log, aws_lb, aws_rds_cluster, aws_vpc]
package terraform.logs

import rego.v1

import data.lib.plan

deny contains plan.denial(r, "nothing says how long it is kept", sprintf("Set retention_in_days to %v at least", [data.deployment.log_days])) if {
	some r in plan.of({"aws_cloudwatch_log_group"})
	object.get(r.change.after, "retention_in_days", null) in [null, 0]
	not plan.comes_later(r, "retention_in_days")
}

deny contains plan.denial(r, sprintf("it is kept for %v days", [days]), sprintf("Set retention_in_days to %v at least", [data.deployment.log_days])) if {
	some r in plan.of({"aws_cloudwatch_log_group"})
	days := r.change.after.retention_in_days
	days > 0
	days < data.deployment.log_days
}

deny contains plan.denial(r, concat("", ["it does not log ", kind]), "Add it to enabled_cluster_log_types") if {
	some r in plan.of({"aws_eks_cluster"})
	not plan.comes_later(r, "enabled_cluster_log_types")
	some kind in ["api", "audit", "authenticator"]
	not kind in kinds(r)
}

deny contains plan.denial(r, "requests to it are not logged", "Set enabled = true in access_logs") if {
	some r in plan.of({"aws_lb"})
	count([logs | some logs in r.change.after.access_logs; logs.enabled == true]) == 0
	not plan.comes_later(r, "access_logs")
}

deny contains plan.denial(r, "its connections are not logged", "Set enabled_cloudwatch_logs_exports") if {
	some r in plan.of({"aws_rds_cluster"})
	not plan.given(r, "enabled_cloudwatch_logs_exports")
}

deny contains plan.denial(r, "its flows are not logged", "Add aws_flow_log for it") if {
	some r in plan.of({"aws_vpc"})
	count(plan.about("aws_flow_log", "vpc_id", r)) == 0
}

kinds(r) := kinds if {
	kinds := r.change.after.enabled_cluster_log_types
	kinds != null
} else := []
