# PowerShell completion for jit; made by: jit completions powershell
Register-ArgumentCompleter -Native -CommandName jit -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text + '.' })
    $words += $wordToComplete + '.'
    & jit complete powershell -- @words 2>$null | ForEach-Object {
        $value, $help = $_.Split("`t", 2)
        if (-not $help) { $help = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
    }
}
