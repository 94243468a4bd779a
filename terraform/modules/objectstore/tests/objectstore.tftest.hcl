mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
}

variables {
  deployment = "default"
  region     = "eu-west-1"
  peers      = ["us-east-1", "ap-south-1"]
  key_arns = {
    audit = "arn:aws:kms:eu-west-1:123456789012:key/mrk-a"
    data  = "arn:aws:kms:eu-west-1:123456789012:key/mrk-d"
  }
  topic_arn = "arn:aws:sns:eu-west-1:123456789012:alarms"
}

run "keeps_versions_encrypted_and_private" {
  command = plan
  assert {
    condition     = length(aws_s3_bucket.this) == 3 && alltrue([for each in aws_s3_bucket_versioning.this : each.versioning_configuration[0].status == "Enabled"])
    error_message = "Every bucket must keep versions."
  }
  assert {
    condition = {
      for store, each in aws_s3_bucket_server_side_encryption_configuration.this :
      store => one(one(each.rule).apply_server_side_encryption_by_default).kms_master_key_id if store != "access"
    } == { audit = var.key_arns.audit, data = var.key_arns.data }
    error_message = "Each store must be encrypted with its own key."
  }
  assert {
    condition = length(aws_s3_bucket_public_access_block.this) == 3 && alltrue([
      for each in aws_s3_bucket_public_access_block.this :
      each.block_public_acls && each.block_public_policy && each.ignore_public_acls && each.restrict_public_buckets
    ])
    error_message = "A bucket could be made public."
  }
  assert {
    condition = alltrue([
      for each in aws_s3_bucket_policy.this : contains([
        for statement in jsondecode(each.policy).Statement : try(statement.Condition.Bool["aws:SecureTransport"], "") if statement.Effect == "Deny"
      ], "false")
    ])
    error_message = "A bucket takes requests without TLS."
  }
}

run "writes_the_audit_log_once" {
  command = plan
  assert {
    condition     = aws_s3_bucket.this["audit"].object_lock_enabled && one(one(aws_s3_bucket_object_lock_configuration.audit.rule).default_retention).mode == "COMPLIANCE"
    error_message = "The audit log's objects must be locked, for root too."
  }
  assert {
    condition     = !anytrue([for each in aws_s3_bucket.this : each.force_destroy])
    error_message = "A protected bucket must not be destroyed with its objects."
  }
}

run "europe_copies_to_all_peers" {
  command = plan
  assert {
    condition = output.copies == {
      for store in ["audit", "data"] : store => {
        for peer in ["ap-south-1", "us-east-1"] : peer => "arn:aws:s3:::cortexkg-default-123456789012-${peer}-${store}"
      }
    }
    error_message = "Both stores must be copied to each peer."
  }
  assert {
    condition = alltrue(flatten([
      for store, each in aws_s3_bucket_replication_configuration.this : [
        for rule in each.rule : rule.destination[0].encryption_configuration[0].replica_kms_key_id == replace(var.key_arns[store], "eu-west-1", rule.id)
      ]
    ]))
    error_message = "A copy must be encrypted with the copy of the key in its region."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.behind) == 4 && alltrue([for each in aws_cloudwatch_metric_alarm.behind : contains(each.alarm_actions, var.topic_arn)])
    error_message = "There must be an alarm for each store and peer."
  }
}

# The other direction: the peer's own configuration points back to the bucket of the run before.
run "a_peer_copies_back" {
  command = plan
  variables {
    region   = "us-east-1"
    peers    = ["eu-west-1", "ap-south-1"]
    key_arns = { for store, arn in var.key_arns : store => replace(arn, "eu-west-1", "us-east-1") }
  }
  assert {
    condition     = alltrue([for store in ["audit", "data"] : output.copies[store]["eu-west-1"] == run.europe_copies_to_all_peers.bucket_arns[store]])
    error_message = "The peer must copy to the bucket that copies to it."
  }
  assert {
    condition     = alltrue([for store in ["audit", "data"] : run.europe_copies_to_all_peers.copies[store]["us-east-1"] == output.bucket_arns[store]])
    error_message = "The bucket that the first region copies to must be the peer's."
  }
}

run "copies_nothing_before_there_are_peers" {
  command = plan
  variables { peers = [] }
  assert {
    condition     = length(aws_s3_bucket_replication_configuration.this) == 0 && length(aws_iam_role_policy.replication) == 0
    error_message = "Without peers there is nothing to copy to."
  }
}

run "refuses_itself_as_a_peer" {
  command = plan
  variables { peers = ["eu-west-1"] }
  expect_failures = [var.peers]
}

run "refuses_a_key_that_no_peer_has" {
  command = plan
  variables {
    key_arns = {
      audit = "arn:aws:kms:eu-west-1:123456789012:key/0f0f"
      data  = "arn:aws:kms:eu-west-1:123456789012:key/mrk-d"
    }
  }
  expect_failures = [var.key_arns]
}

run "refuses_a_short_audit_log_in_production" {
  command = plan
  variables { audit_retention_days = 30 }
  expect_failures = [var.audit_retention_days]
}
