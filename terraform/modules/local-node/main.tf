# A column runtime node inside a region's tree of processes.

resource "terraform_data" "this" {
  # All that the provisioners need: one that destroys sees nothing but the resource itself.
  input = {
    python    = var.python
    directory = var.directory
    region    = var.region
    name      = var.name
  }
  triggers_replace = {
    region_id = var.region_id
    port      = var.port
  }

  provisioner "local-exec" {
    interpreter = [self.input.python, "-P", "-m", "cortexctl.platforms.local"]
    command     = "node-start"
    environment = {
      CORTEXKG_SPEC = jsonencode({
        directory = self.input.directory, region = self.input.region, node = self.input.name
      })
    }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = [self.input.python, "-P", "-m", "cortexctl.platforms.local"]
    command     = "node-stop"
    environment = {
      CORTEXKG_SPEC = jsonencode({
        directory = self.input.directory, region = self.input.region, node = self.input.name
      })
    }
  }
}
