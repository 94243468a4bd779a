variables {
  python    = "/usr/bin/true"
  directory = "/nowhere"
  edge_port = 20000
  regions   = { eu-west = 20016 }
}

run "has_one_address_for_clients" {
  command = apply
  assert {
    condition     = output.edge_url == "https://127.0.0.1:20000"
    error_message = "The edge's URL is not made of its port."
  }
}
