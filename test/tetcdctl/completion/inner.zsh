# The shell in offers.zsh.
PROMPT= PS2= RPROMPT=
autoload -Uz compinit && compinit -D -u
source $SCRIPT
bindkey '^I' complete-word
mark_begin() { print }
mark_end() { print -r -- '<end>'; exit }
compprefuncs=(mark_begin)
comppostfuncs=(mark_end)
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
  local -a offers
  builtin compadd -O offers "$@"
  print -rl -- offer:$^offers
  builtin compadd "$@"
}
