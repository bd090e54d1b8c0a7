# fish completion for jit; made by: jit completions fish
complete --command jit --no-files --keep-order --arguments '(jit complete fish -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor) 2>/dev/null)'
