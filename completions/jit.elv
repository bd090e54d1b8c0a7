# elvish completion for jit; made by: jit completions elvish
use str
set edit:completion:arg-completer[jit] = {|@words|
    jit complete elvish -- $@words 2>/dev/null | from-lines | each {|line|
        var kind value shown = (str:split "\t" $line)
        var suffix = ''
        if (eq $kind word) { set suffix = ' ' }
        edit:complex-candidate $value &code-suffix=$suffix &display=$shown
    }
}
