# The edge outside the regions: the one address that clients need. It survives the loss of any region.

resource "terraform_data" "this" {
  # All that the provisioners need: one that destroys sees nothing but the resource itself.
  input = {
    python    = var.python
    directory = var.directory
    port      = var.port
  }
  # Another address or other regions behind it: another edge.
  triggers_replace = {
    port    = var.port
    regions = var.regions
  }

  provisioner "local-exec" {
    interpreter = [self.input.python, "-P", "-m", "cortexctl.platforms.local"]
    command     = "edge-start"
    environment = { CORTEXKG_SPEC = jsonencode({ directory = self.input.directory }) }
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = [self.input.python, "-P", "-m", "cortexctl.platforms.local"]
    command     = "edge-stop"
    environment = { CORTEXKG_SPEC = jsonencode({ directory = self.input.directory }) }
  }
}
