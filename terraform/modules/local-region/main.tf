# A region: one tree of processes with an etcd member, Patroni and its PostgreSQL, and a load balancer.

resource "terraform_data" "this" {
  # All that the provisioners need: one that destroys sees nothing but the resource itself.
  input = {
    python    = var.python
    directory = var.directory
    name      = var.name
  }
  # Other ports: another region. Which region is primary is not said here: the arbiter knows.
  triggers_replace = {
    name = var.name
    port = var.load_balancer_port
  }

  provisioner "local-exec" {
    interpreter = [self.input.python, "-P", "-m", "cortexctl.platforms.local"]
    command     = "region-start"
    environment = {
      CORTEXKG_SPEC = jsonencode({ directory = self.input.directory, region = self.input.name })
    }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = [self.input.python, "-P", "-m", "cortexctl.platforms.local"]
    command     = "region-stop"
    environment = {
      CORTEXKG_SPEC = jsonencode({ directory = self.input.directory, region = self.input.name })
    }
  }
}
