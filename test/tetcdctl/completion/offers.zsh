# offers.zsh SCRIPT PROGRAM LINE: what zsh offers at the end of the line, one a line.
#
# Completion works in an interactive shell only: one in a terminal of its own gets the line and a tab. What is
# added to its list is printed.
zmodload zsh/zpty
zpty inner "SCRIPT=${(q)1} zsh -f -i"
zpty -w inner "source ${(q)0:A:h}/inner.zsh; print ready-\$((1 + 1))"
while zpty -r inner line; do [[ $line == *ready-2* ]] && break; done
zpty -w -n inner "$3"$'\t'
while zpty -r inner line; do
  line=${${line%$'\n'}%$'\r'}
  [[ $line == *'<end>'* ]] && exit
  [[ $line == *'offer:'* ]] && print -r -- ${line##*offer:}
done
