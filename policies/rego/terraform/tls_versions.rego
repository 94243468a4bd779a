# METADATA
# title: TLS is 1.2 at least
# description: >-
#   TLS 1.0 and 1.1 are broken. Load balancers, databases and domains offer 1.2 and 1.3 alone.
# custom:
#   severity: high
#   remedy: Choose a policy that begins at TLS 1.2.
#   types: [aws_api_gateway_domain_name, aws_cloudfront_distribution, aws_db_parameter_group, aws_lb_listener, aws_opensearch_domain, aws_rds_cluster_parameter_group]
package terraform.tls_versions

import rego.v1

import data.lib.plan

deny contains plan.denial(r, sprintf("its policy %v lets in what is older than TLS 1.2", [policy]), "Set ssl_policy to ELBSecurityPolicy-TLS13-1-2-2021-06") if {
	some r in plan.of({"aws_lb_listener"})
	r.change.after.protocol in {"HTTPS", "TLS"}
	not plan.comes_later(r, "ssl_policy")
	policy := object.get(r.change.after, "ssl_policy", null)
	not modern(policy)
}

deny contains plan.denial(r, sprintf("it lets in %s", [parameter.value]), "Set the parameter ssl_min_protocol_version to TLSv1.2") if {
	some r in plan.of({"aws_db_parameter_group", "aws_rds_cluster_parameter_group"})
	some parameter in r.change.after.parameter
	parameter.name == "ssl_min_protocol_version"
	not parameter.value in {"TLSv1.2", "TLSv1.3"}
}

deny contains plan.denial(r, sprintf("it lets in %v", [version]), "Set minimum_protocol_version to TLSv1.2_2021") if {
	some r in plan.of({"aws_cloudfront_distribution"})
	some certificate in r.change.after.viewer_certificate
	version := object.get(certificate, "minimum_protocol_version", null)
	not startswith(sprintf("%v", [version]), "TLSv1.2")
}

deny contains plan.denial(r, "it lets in TLS 1.0", "Set security_policy to TLS_1_2") if {
	some r in plan.of({"aws_api_gateway_domain_name"})
	r.change.after.security_policy == "TLS_1_0"
}

deny contains plan.denial(r, "it lets in what is older than TLS 1.2", "Set tls_security_policy to Policy-Min-TLS-1-2-PFS-2023-10") if {
	some r in plan.of({"aws_opensearch_domain"})
	some endpoint in r.change.after.domain_endpoint_options
	not startswith(sprintf("%v", [object.get(endpoint, "tls_security_policy", null)]), "Policy-Min-TLS-1-2")
}

modern(policy) if {
	some prefix in ["ELBSecurityPolicy-TLS13-1-2-", "ELBSecurityPolicy-TLS13-1-3-", "ELBSecurityPolicy-FS-1-2-", "ELBSecurityPolicy-TLS-1-2-"]
	startswith(sprintf("%v", [policy]), prefix)
}
