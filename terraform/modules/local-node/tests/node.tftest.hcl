variables {
  python    = "/usr/bin/true"
  directory = "/nowhere"
  region    = "eu-west"
  region_id = "1"
  name      = "eu-west-1"
  port      = 20024
}

run "says_where_it_is" {
  command = plan
  assert {
    condition     = output.node == { name = "eu-west-1", region = "eu-west", address = "127.0.0.1:20024" }
    error_message = "The node's output is not made of its variables."
  }
}

run "refuses_a_name_without_a_number" {
  command = plan
  variables { name = "eu-west" }
  expect_failures = [var.name]
}

run "refuses_a_port_out_of_range" {
  command = plan
  variables { port = 70000 }
  expect_failures = [var.port]
}
