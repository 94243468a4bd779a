output "vault_arn" {
  description = "The ARN of the region's vault."
  value       = aws_backup_vault.this.arn
}

output "role_arn" {
  description = "The role that restores from it."
  value       = aws_iam_role.this.arn
}

output "copies" {
  description = "The ARNs of the vaults that get copies."
  value       = toset(flatten([for rule in aws_backup_plan.this.rule : [for copy in rule.copy_action : copy.destination_vault_arn]]))
}

output "vault" {
  description = "The vault's name: the same in every region."
  value       = aws_backup_vault.this.name
}
