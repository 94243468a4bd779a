mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment     = "default"
  region         = "eu-west-1"
  administrators = ["arn:aws:iam::123456789012:role/platform"]
  subnets        = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2", eu-west-1c = "subnet-3" }
  key_arns = {
    data    = "arn:aws:kms:eu-west-1:123456789012:key/mrk-d"
    logs    = "arn:aws:kms:eu-west-1:123456789012:key/mrk-l"
    secrets = "arn:aws:kms:eu-west-1:123456789012:key/mrk-s"
  }
  topic_arn = "arn:aws:sns:eu-west-1:123456789012:alarms"
  access = {
    database    = "cluster-ABC"
    cache       = ["arn:aws:elasticache:eu-west-1:123456789012:replicationgroup:cortexkg-default"]
    buckets     = { audit = "arn:aws:s3:::audit", data = "arn:aws:s3:::data" }
    bucket_keys = ["arn:aws:kms:eu-west-1:123456789012:key/mrk-d"]
    metrics     = "arn:aws:aps:eu-west-1:123456789012:workspace/ws-1"
  }
}

run "is_private_and_encrypted_and_tells_all" {
  command = plan
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The API must be reachable from the region's network alone."
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.key_arns.secrets && aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"])
    error_message = "The secrets of Kubernetes must be encrypted with the key for secrets."
  }
  assert {
    condition     = aws_eks_cluster.this.enabled_cluster_log_types == toset(["api", "audit", "authenticator", "controllerManager", "scheduler"])
    error_message = "All logs of the control plane must be kept."
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Who makes the cluster must get no rights by that."
  }
}

run "its_machines_stand_in_three_zones_with_encrypted_disks" {
  command = plan
  assert {
    condition     = aws_eks_node_group.machines.subnet_ids == toset(values(var.subnets)) && aws_eks_node_group.machines.scaling_config[0].min_size == 3
    error_message = "There must be a machine in each of three zones."
  }
  assert {
    condition     = tobool(aws_launch_template.machines.block_device_mappings[0].ebs[0].encrypted) && aws_launch_template.machines.block_device_mappings[0].ebs[0].kms_key_id == var.key_arns.data
    error_message = "The machines' disks must be encrypted with the key for data."
  }
  assert {
    condition     = aws_launch_template.machines.metadata_options[0].http_tokens == "required" && aws_launch_template.machines.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Pods must have no way to the machine's own role."
  }
  assert {
    condition     = aws_eks_node_group.machines.ami_type == "AL2023_ARM_64_STANDARD"
    error_message = "A Graviton machine needs an image for ARM."
  }
}

run "pods_may_do_what_they_need" {
  command = plan
  assert {
    condition     = { for name, pod in aws_eks_pod_identity_association.pod : name => "${pod.namespace}/${pod.service_account}" }["runtime"] == "cortexkg/cortexkg-runtime"
    error_message = "The runtime's pods have no role."
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.pod : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) : !endswith(action, ":*") && action != "*"
        ]
      ]
    ]))
    error_message = "A role may do everything with a service."
  }
  # On everything there is: looking alone, or what a condition narrows.
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.pod : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in flatten([statement.Action]) :
          !contains(flatten([statement.Resource]), "*") || can(statement.Condition) || can(regex(":(Describe|Get|List)", action))
        ]
      ]
    ]))
    error_message = "A role may change what is not its own."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.pod["runtime"].policy).Statement :
      !contains(statement.Action, "s3:DeleteObject") || statement.Resource == ["arn:aws:s3:::data/*"]
    ])
    error_message = "The runtime must not delete from the audit log."
  }
}

run "opens_the_api_to_named_addresses" {
  command = plan
  variables { api_cidrs = ["203.0.113.0/24"] }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "The API must be open to the addresses named, and no others."
  }
}

run "refuses_the_whole_internet" {
  command = plan
  variables { api_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.api_cidrs]
}

run "refuses_two_machines_in_production" {
  command = plan
  variables { machines = { types = ["m7g.xlarge"], min = 2, max = 4 } }
  expect_failures = [var.machines]
}

run "refuses_a_user_as_administrator" {
  command = plan
  variables { administrators = ["arn:aws:iam::123456789012:user/me"] }
  expect_failures = [var.administrators]
}

run "refuses_two_zones" {
  command = plan
  variables { subnets = { eu-west-1a = "subnet-1", eu-west-1b = "subnet-2" } }
  expect_failures = [var.subnets]
}
