variables {
  python             = "/usr/bin/true"
  directory          = "/nowhere"
  region             = "eu-west"
  load_balancer_port = 20016
  nodes              = { eu-west-1 = 20024, eu-west-2 = 20025 }
}

run "has_a_node_for_each_of_the_map" {
  command = apply
  assert {
    condition     = sort(keys(output.nodes)) == tolist(["eu-west-1", "eu-west-2"])
    error_message = "The nodes are not those of the variable."
  }
  assert {
    condition     = output.nodes["eu-west-2"].address == "127.0.0.1:20025"
    error_message = "A node's address is not made of its port."
  }
}


run "refuses_a_region_without_nodes" {
  command = plan
  variables { nodes = {} }
  expect_failures = [var.nodes]
}

run "refuses_one_port_for_two_nodes" {
  command = plan
  variables { nodes = { eu-west-1 = 20024, eu-west-2 = 20024 } }
  expect_failures = [var.nodes]
}
