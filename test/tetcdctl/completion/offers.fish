# offers.fish SCRIPT PROGRAM LINE: what fish offers at the end of the line, one a line, without its help.
source $argv[1]
complete -C $argv[3] | string replace -r '\t.*' ''
