variables {
  python             = "/usr/bin/true"
  directory          = "/nowhere"
  name               = "eu-west"
  load_balancer_port = 20016
}

run "says_where_it_is" {
  command = plan
  assert {
    condition     = output.name == "eu-west" && output.load_balancer_url == "https://127.0.0.1:20016"
    error_message = "The region's outputs are not made of its variables."
  }
}

run "refuses_a_path_as_a_name" {
  command = plan
  variables { name = "../eu-west" }
  expect_failures = [var.name]
}

run "refuses_a_fraction_of_a_port" {
  command = plan
  variables { load_balancer_port = 20016.5 }
  expect_failures = [var.load_balancer_port]
}

run "refuses_a_relative_directory" {
  command = plan
  variables { directory = "here" }
  expect_failures = [var.directory]
}
