from c_extension._answer import answer as answer
