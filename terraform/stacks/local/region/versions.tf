terraform {
  required_version = ">= 1.6"

  # The path is given at init: the state lives in the deployment's directory, never in the checkout.
  backend "local" {}
}
