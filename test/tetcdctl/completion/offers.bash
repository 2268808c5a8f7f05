# offers.bash SCRIPT PROGRAM LINE: what bash offers at the end of the line, one a line.
source "$1"
# bash takes = for a word of its own.
read -ra COMP_WORDS <<<"${3//=/ = }"
[[ $3 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
"_$2"
printf '%s\n' "${COMPREPLY[@]}"
