variables {
  python    = "/usr/bin/true"
  directory = "/nowhere"
  port      = 20000
  regions   = { eu-west = 20016, us-east = 20064 }
}

run "says_where_it_is" {
  command = plan
  assert {
    condition     = output.url == "https://127.0.0.1:20000"
    error_message = "The edge's URL is not made of its port."
  }
}

run "refuses_a_privileged_port" {
  command = plan
  variables { port = 443 }
  expect_failures = [var.port]
}

run "refuses_no_regions" {
  command = plan
  variables { regions = {} }
  expect_failures = [var.regions]
}

run "refuses_a_relative_interpreter" {
  command = plan
  variables { python = "python3" }
  expect_failures = [var.python]
}
