# METADATA
# title: The internet reaches load balancers alone, at their own port
# description: >-
#   Only the security group of a load balancer lets in everybody, and only at the public ports of
#   data.deployment. Whatever names no group of its own reaches nothing, and no subnet gives public addresses
#   away.
# custom:
#   severity: critical
#   remedy: Name the network or the security group that may come in.
#   types: [aws_default_security_group, aws_lb, aws_security_group, aws_security_group_rule, aws_subnet, aws_vpc_security_group_ingress_rule]
package terraform.private_network

import rego.v1

import data.lib.plan

deny contains plan.denial(r, sprintf("everybody may reach port %v", [ports(r.change.after)]), "Name the network or the security group that may come in") if {
	some r in plan.of({"aws_vpc_security_group_ingress_rule"})
	some attribute in ["cidr_ipv4", "cidr_ipv6"]
	everybody([r.change.after[attribute]])
	not front_door(r, r.change.after, r.change.after.ip_protocol)
}

deny contains plan.denial(r, sprintf("everybody may reach port %v", [ports(r.change.after)]), "Name the network or the security group that may come in") if {
	some r in plan.of({"aws_security_group_rule"})
	r.change.after.type == "ingress"
	everybody(networks(r.change.after))
	not front_door(r, r.change.after, r.change.after.protocol)
}

deny contains plan.denial(r, sprintf("everybody may reach port %v", [ports(way)]), "Name the network or the security group that may come in") if {
	some r in plan.of({"aws_security_group"})
	some way in object.get(r.change.after, "ingress", [])
	everybody(networks(way))
	not open(way, way.protocol, r)
}

deny contains plan.denial(r, "what names no security group of its own is reachable", "Set ingress = []") if {
	some r in plan.of({"aws_default_security_group"})
	count(object.get(r.change.after, "ingress", [])) > 0
}

deny contains plan.denial(r, "machines in it get public addresses", "Set map_public_ip_on_launch = false") if {
	some r in plan.of({"aws_subnet"})
	r.change.after.map_public_ip_on_launch == true
}

# Less than 8 fixed bits: nobody's network is so large, but two of them are everybody's.
everybody(cidrs) if {
	some cidr in cidrs
	is_string(cidr)
	to_number(split(cidr, "/")[1]) < 8
}

networks(way) := array.concat(list(object.get(way, "cidr_blocks", [])), list(object.get(way, "ipv6_cidr_blocks", [])))

list(value) := value if is_array(value)

list(value) := [] if value == null

front_door(r, way, protocol) if {
	some group in plan.of({"aws_security_group"})
	plan.names(r, "security_group_id", group)
	open(way, protocol, group)
}

# Of a load balancer, at one of the public ports.
open(way, protocol, group) if {
	lower(protocol) == "tcp"
	way.from_port == way.to_port
	way.from_port in data.deployment.public_ports
	count(plan.about("aws_lb", "security_groups", group)) > 0
}

ports(way) := sprintf("%v", [way.from_port]) if way.from_port == way.to_port

ports(way) := sprintf("%v to %v", [way.from_port, way.to_port]) if way.from_port != way.to_port

ports(way) := "whatever it is" if object.get(way, "from_port", null) == null
